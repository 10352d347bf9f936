// `mount -o remount,…`: what of it works on a live mount. ro and rw and the flags of the VFS are
// the kernel's; foliofs' own options go to the daemon as `foliofs set` would send them.
#pragma once

#include "mount_request.h"

namespace foliofs::cli {

bool asks_for_remount(const MountWords& words);

// Returns the exit status; what went wrong has been said on stderr.
int run_remount(const MountWords& words);

}  // namespace foliofs::cli
