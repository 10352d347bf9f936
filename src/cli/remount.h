// `mount -o remount,…`: the part of it that works on a live mount. ro, rw and the flags of the VFS
// go to the kernel; foliofs' own options go to the daemon, as `foliofs set` sends them.
#pragma once

#include "mount_request.h"

namespace foliofs::cli {

bool asks_for_remount(const MountWords& words);

// Returns the exit status; has written any error to stderr.
int run_remount(const MountWords& words);

}  // namespace foliofs::cli
