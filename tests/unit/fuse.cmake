foliofs_test(fuse_test LABEL unit
  SOURCES fuse_kernel_release_test.cpp fuse_notification_thread_test.cpp fuse_pending_signals_test.cpp fuse_privileges_test.cpp
  DEPENDS foliofs_fuse)
