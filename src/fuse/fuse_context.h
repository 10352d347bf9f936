// What the handlers of one mount need; reachable from every request as its session's userdata.
#pragma once

#include "caller_groups.h"
#include "foliofs/base/task.h"
#include "foliofs/vfs/mount.h"
#include "init_flags.h"

struct fuse_lowlevel_ops;

namespace foliofs::fuse {

struct FuseContext {
  Executor executor;
  vfs::Mount* mount = nullptr;  // set by serve(), before the first request is read
  CallerGroups groups;
  InitFlags init_flags;
  bool expires_names = false;     // the kernel can forget how long it may believe a name
  bool kills_privileges = false;  // what kill_privileges.h says of the request being handled
};

// The table of handlers (handlers.cpp, handlers_directories.cpp, handlers_locks.cpp,
// handlers_ranges.cpp, handlers_xattrs.cpp).
fuse_lowlevel_ops make_handlers();
void add_directory_handlers(fuse_lowlevel_ops& handlers);
void add_range_handlers(fuse_lowlevel_ops& handlers);
void add_xattr_handlers(fuse_lowlevel_ops& handlers);
void add_lock_handlers(fuse_lowlevel_ops& handlers);

}  // namespace foliofs::fuse
