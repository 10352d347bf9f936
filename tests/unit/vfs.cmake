foliofs_test(vfs_test LABEL unit
  SOURCES vfs_absent_names_test.cpp vfs_attribute_writeback_test.cpp vfs_coherence_test.cpp vfs_directories_test.cpp vfs_forgetting_test.cpp vfs_idle_opens_test.cpp vfs_fake_server.cpp vfs_listed_names_test.cpp vfs_locks_test.cpp vfs_open_test.cpp vfs_ranges_test.cpp vfs_refilled_pages_test.cpp vfs_sessions_test.cpp vfs_test.cpp vfs_fake_leases.cpp vfs_fake_xattrs.cpp vfs_leases_names_test.cpp vfs_leases_test.cpp vfs_xattrs_test.cpp
  DEPENDS foliofs_vfs)
