// `foliofs umount`: drains, unmounts, and waits until the daemon has ended.
#pragma once

#include <string>

namespace foliofs::cli {

struct UmountWords {
  std::string mount_point;
  bool force = false;
  bool lazy = false;
};

// Returns the exit status; has written any error to stderr.
int run_umount(const UmountWords& words);

}  // namespace foliofs::cli
