#include "pending_signals.h"

#include <csignal>
#include <cstdint>
#include <fstream>
#include <iterator>

namespace foliofs::fuse {

namespace {

constexpr std::uint64_t bit(int signal) {
  return std::uint64_t{1} << (signal - 1);
}

// Signals whose default action does not end the process.
constexpr std::uint64_t kHarmless = bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH) |
                                    bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);

// The mask in a line such as "SigPnd:\t0000000000000100".
std::uint64_t mask_of(const std::string& status, const std::string& key) {
  const std::size_t at = status.find("\n" + key + ":");
  if (at == status.npos) return 0;
  return std::strtoull(status.c_str() + at + key.size() + 2, nullptr, 16);
}

}  // namespace

bool status_has_fatal_signal(const std::string& status) {
  const std::uint64_t pending = mask_of(status, "SigPnd") | mask_of(status, "ShdPnd");
  const std::uint64_t harmless =
      mask_of(status, "SigBlk") | mask_of(status, "SigIgn") | mask_of(status, "SigCgt") | kHarmless;
  return (pending & bit(SIGKILL)) != 0 || (pending & ~harmless) != 0;
}

bool fatal_signal_pending(pid_t tid) {
  if (tid == 0) return false;
  std::ifstream file("/proc/" + std::to_string(tid) + "/status");
  if (!file) return true;
  return status_has_fatal_signal(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace foliofs::fuse
