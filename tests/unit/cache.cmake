foliofs_test(cache_test LABEL unit
  SOURCES cache_test.cpp cache_arena_test.cpp cache_budget_test.cpp cache_invalidate_test.cpp
    cache_in_flight_test.cpp cache_prefill_test.cpp
    cache_server_change_test.cpp cache_writeback_test.cpp
  DEPENDS foliofs_cache)
