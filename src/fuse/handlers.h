// The table of handlers that libfuse calls for the kernel's requests.
#pragma once

struct fuse_lowlevel_ops;

namespace foliofs::fuse {

// The complete table.
fuse_lowlevel_ops make_handlers();

// Each adds the handlers of its file: handlers_directories.cpp, handlers_locks.cpp,
// handlers_ranges.cpp, handlers_xattrs.cpp.
void add_directory_handlers(fuse_lowlevel_ops& handlers);
void add_lock_handlers(fuse_lowlevel_ops& handlers);
void add_range_handlers(fuse_lowlevel_ops& handlers);
void add_xattr_handlers(fuse_lowlevel_ops& handlers);

}  // namespace foliofs::fuse
