foliofs_test(vfs_options_test LABEL unit
  SOURCES vfs_options_test.cpp
  DEPENDS foliofs_vfs)
