#include "foliofs/control/daemon_process.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

// The header of glibc 2.36 does not declare its functions as C itself.
extern "C" {
#include <sys/pidfd.h>
}

namespace foliofs::control {

DaemonProcess::DaemonProcess(pid_t pid) : pid_(pid), handle_(pid > 0 ? ::pidfd_open(pid, 0) : -1) {}

bool DaemonProcess::wait_for_end(std::chrono::milliseconds timeout) const {
  using namespace std::chrono_literals;
  if (handle_) {
    pollfd entry{handle_.get(), POLLIN, 0};
    return ::poll(&entry, 1, static_cast<int>(timeout.count())) > 0;
  }
  for (auto waited = 0ms; waited < timeout; waited += 50ms) {
    if (::kill(pid_, 0) != 0 && errno == ESRCH) return true;
    ::usleep(50'000);
  }
  return false;
}

void DaemonProcess::kill() const {
  if (handle_) {
    ::pidfd_send_signal(handle_.get(), SIGKILL, nullptr, 0);
  } else if (pid_ > 0) {  // 0 would be our own process group
    ::kill(pid_, SIGKILL);
  }
}

}  // namespace foliofs::control
