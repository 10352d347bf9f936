// `foliofs mount`: checks the arguments and starts the daemon, in the background unless -f is
// given. With the daemon in the background, the command ends when the mount is there or has failed.
#pragma once

#include "mount_request.h"

namespace foliofs::cli {

// Returns the exit status; has written any error to stderr, in one line.
int run_mount(const MountWords& words);

}  // namespace foliofs::cli
