foliofs_test(fuse_test LABEL unit
  SOURCES fuse_pending_signals_test.cpp fuse_privileges_test.cpp
  DEPENDS foliofs_fuse)
