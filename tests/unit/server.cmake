foliofs_test(server_unit_test LABEL unit
  SOURCES lock_table_test.cpp server_blocking_pool_test.cpp server_disk_watch_test.cpp
    server_exclusive_leases_test.cpp server_files_test.cpp server_given_up_leases_test.cpp
    server_lease_recalls_test.cpp server_leases_test.cpp server_name_locks_test.cpp server_options_test.cpp
    server_session_test.cpp server_write_stream_test.cpp
  DEPENDS foliofs_server)
