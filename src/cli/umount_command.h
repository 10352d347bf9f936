// `foliofs umount`: drains, unmounts, and waits for the end of the daemon.
#pragma once

#include <string>

namespace foliofs::cli {

struct UmountWords {
  std::string mount_point;
  bool force = false;
  bool lazy = false;
};

// Returns the exit status; what went wrong has been said on stderr.
int run_umount(const UmountWords& words);

}  // namespace foliofs::cli
