// What the handlers of one mount need; reachable from every request as its session's userdata.
#pragma once

#include "caller_groups.h"
#include "foliofs/base/task.h"
#include "foliofs/vfs/mount.h"
#include "init_flags.h"

namespace foliofs::fuse {

struct FuseContext {
  Executor executor;
  vfs::Mount* mount = nullptr;  // set by serve(), before the first request is read
  CallerGroups groups;
  InitFlags init_flags;
  bool expires_names = false;     // the kernel can forget how long it may believe a name
  bool kills_privileges = false;  // what kill_privileges.h says of the request being handled
};

}  // namespace foliofs::fuse
