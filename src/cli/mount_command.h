// `foliofs mount`: checks what was asked, and starts the daemon, in the background unless told
// otherwise. The command ends when the mount is there or has failed.
#pragma once

#include "mount_request.h"

namespace foliofs::cli {

// Returns the exit status; what went wrong has been said in one line on stderr.
int run_mount(const MountWords& words);

}  // namespace foliofs::cli
