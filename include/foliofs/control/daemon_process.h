// DaemonProcess: the process of a mount's daemon, which is not our child.
#pragma once

#include <sys/types.h>

#include <chrono>

#include "foliofs/base/unique_fd.h"

namespace foliofs::control {

class DaemonProcess {
 public:
  // `pid` as the kernel reported it; 0 if the process cannot be seen from this pid namespace.
  explicit DaemonProcess(pid_t pid);

  pid_t pid() const { return pid_; }

  // True when the process has ended; false if it has not ended within `timeout`.
  bool wait_for_end(std::chrono::milliseconds timeout) const;

  // Does not wait until the process has ended.
  void kill() const;

 private:
  pid_t pid_;
  UniqueFd handle_;  // a pidfd, safe against reuse of the pid; may be empty
};

}  // namespace foliofs::control
