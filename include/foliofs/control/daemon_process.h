// DaemonProcess: the process of a mount's daemon, which is not a child of ours.
#pragma once

#include <sys/types.h>

#include <chrono>

#include "foliofs/base/unique_fd.h"

namespace foliofs::control {

class DaemonProcess {
 public:
  // `pid` as the kernel has told it; 0 when it cannot be seen from here.
  explicit DaemonProcess(pid_t pid);

  pid_t pid() const { return pid_; }

  // True once it has ended; false when it has not within `timeout`.
  bool wait_for_end(std::chrono::milliseconds timeout) const;

  // Does not wait for the end.
  void kill() const;

 private:
  pid_t pid_;
  UniqueFd handle_;  // refers to it even if its number is used again; the kernel may give none
};

}  // namespace foliofs::control
