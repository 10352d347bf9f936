foliofs_test(rpc_unit_test LABEL unit
  SOURCES
    call_table_test.cpp
    frame_reader_test.cpp
    link_test.cpp
    rpc_stats_test.cpp
    slot_table_test.cpp
  DEPENDS foliofs_rpc)
