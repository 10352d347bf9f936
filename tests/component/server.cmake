foliofs_test(server_component_test LABEL component
  SOURCES
    server_changes_test.cpp
    server_exclusive_leases_test.cpp
    server_lease_recalls_test.cpp
    server_leases_test.cpp
    server_limits_test.cpp
    server_locks_test.cpp
    server_messages_test.cpp
    server_process_test.cpp
    server_ranges_test.cpp
    server_recovery_test.cpp
    server_sessions_test.cpp
    server_write_attributes_test.cpp
    server_xattrs_test.cpp
  DEPENDS foliofs_server)
# The process tests run the real binary.
target_compile_definitions(server_component_test PRIVATE FOLIOFSD="$<TARGET_FILE:foliofsd>")
add_dependencies(server_component_test foliofsd)
