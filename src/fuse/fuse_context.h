// What the handlers of one mount share. It is the userdata of the mount's session, so every request
// leads to it.
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
  bool expires_names = false;     // the kernel can expire a name without dropping its entry
  bool kills_privileges = false;  // kills_privileges() of the request being handled
};

}  // namespace foliofs::fuse
