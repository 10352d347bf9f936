#include "umount_command.h"

#include <unistd.h>

#include <cstdio>
#include <optional>

#include "find_mount.h"
#include "foliofs/control/client.h"
#include "foliofs/control/drain_report.h"
#include "foliofs/control/json_members.h"
#include "foliofs/control/requests.h"
#include "foliofs/control/runtime_dir.h"
#include "kernel_unmount.h"
#include "text.h"

namespace foliofs::cli {
namespace {

using control::ControlClient;
using control::DrainReport;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto kForcedDrain = 2s;   // how long -f lets the daemon try
constexpr auto kForcedAnswer = 1s;  // … and say what will be lost
constexpr auto kForcedEnd = 3s;     // … and end by itself
constexpr auto kKilledEnd = 2s;
constexpr auto kSilence = 30s;  // of a daemon that writes after the unmount
constexpr auto kEnd = 10s;      // from its last message to its end

// Less than this is written before a person could read a line about it.
constexpr std::uint64_t kWorthShowing = 8 << 20;

// One line that is rewritten in place, if stderr is a terminal; otherwise nothing.
class ProgressLine {
 public:
  ProgressLine() : terminal_(::isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() { clear(); }

  void show(const json& progress) {
    const std::uint64_t left = control::number_member(progress, "dirty_bytes");
    if (!terminal_ || (!shown_ && left < kWorthShowing)) return;
    shown_ = true;
    std::fprintf(stderr, "\rfoliofs umount: %s left to write\033[K", bytes_text(left).c_str());
  }

  void clear() {
    if (shown_) std::fputs("\r\033[K", stderr);
    shown_ = false;
  }

 private:
  const bool terminal_;
  bool shown_ = false;
};

// After the unmount: waits until the daemon has written the remaining data, reported it in
// `report`, and ended. False if it has not ended in time.
bool await_daemon(ControlClient& client, ProgressLine& progress,
                  std::optional<DrainReport>& report) {
  for (;;) {
    const auto message = client.next_line(kSilence);
    if (!message) break;  // gone or silent: the wait below tells which
    if (const auto state = message.value().find("progress"); state != message.value().end()) {
      progress.show(*state);
    }
    if (const auto end = message.value().find("end"); end != message.value().end()) {
      report = control::read_drain_report(*end);
      break;
    }
  }
  return client.daemon().wait_for_end(kEnd);
}

int finish_unmounted(const MountEntry& mount, ControlClient& client, ProgressLine& progress) {
  std::optional<DrainReport> report;
  const bool ended = await_daemon(client, progress, report);
  progress.clear();
  if (report && report->dirty_bytes > 0) {
    return fail("umount", mount.mount_point + " is unmounted, but " +
                              bytes_text(report->dirty_bytes) +
                              " could not be written and are lost: " + report->error + " (" +
                              report->text + ")");
  }
  if (!ended) {
    return fail("umount", mount.mount_point + " is unmounted, but its daemon (pid " +
                              std::to_string(client.daemon().pid()) + ") has not ended yet");
  }
  return 0;
}

int report_busy(const MountEntry& mount, const UnmountResult& result) {
  if (!result.busy) {
    return fail("umount", "cannot unmount " + mount.mount_point + ": " + result.text);
  }
  return fail("umount", mount.mount_point + " is busy; close what is open there (fuser -vm " +
                            mount.mount_point + " lists it), or use --lazy or --force");
}

int run_lazy(const MountEntry& mount) {
  const UnmountResult result = unmount(mount.mount_point, Unmount::kLazy);
  return result.done ? 0 : report_busy(mount, result);
}

int run_orderly(const MountEntry& mount) {
  auto client = ControlClient::connect(mount);
  if (!client) {
    return fail("umount", client.error().text + "; foliofs umount -f " + mount.mount_point +
                              " unmounts it all the same");
  }
  ProgressLine progress;
  const auto watching =
      client.value().call(control::make_request("watch"), control::kAnswerTimeout);
  if (!watching) return fail("umount", watching.error().text + "; --force unmounts all the same");
  const auto drained =
      client.value().call(control::make_request("drain"), std::nullopt,
                          [&progress](const json& state) { progress.show(state); });
  progress.clear();
  if (!drained) return fail("umount", drained.error().text + "; --force unmounts all the same");
  const DrainReport report = control::read_drain_report(drained.value());
  if (!report.error.empty()) {
    return fail("umount", bytes_text(report.dirty_bytes) + " cannot be written: " + report.error +
                              " (" + report.text +
                              "); still mounted; --force unmounts and loses them");
  }
  const UnmountResult result = unmount(mount.mount_point, Unmount::kIfIdle);
  if (!result.done) return report_busy(mount, result);
  return finish_unmounted(mount, client.value(), progress);
}

// The drain of a forced unmount: true when everything was written in time.
bool try_drain(ControlClient& client) {
  const auto watching = client.call(control::make_request("watch"), kForcedAnswer);
  if (!watching) return false;
  const auto drained = client.call(control::make_request("drain"), kForcedDrain);
  return drained && control::read_drain_report(drained.value()).error.empty();
}

// Tells the daemon to give up its dirty data. Returns how many bytes are lost, if it says so.
std::optional<std::uint64_t> abandon(const MountEntry& mount) {
  const auto abandoned =
      control::ask_daemon(mount, control::make_request("abandon"), kForcedAnswer);
  if (!abandoned) return std::nullopt;
  return control::number_member(abandoned.value(), "dirty_bytes");
}

// Waits for a bounded time. A daemon that does not end by itself is killed, as its mount is gone.
bool end_daemon(const control::DaemonProcess& daemon) {
  if (daemon.wait_for_end(kForcedEnd)) return true;
  daemon.kill();
  return daemon.wait_for_end(kKilledEnd);
}

int run_forced(const MountEntry& mount) {
  auto client = ControlClient::connect(mount);
  if (client && try_drain(client.value()) && unmount(mount.mount_point, Unmount::kIfIdle).done) {
    ProgressLine progress;
    return finish_unmounted(mount, client.value(), progress);
  }
  const std::optional<std::uint64_t> lost = client ? abandon(mount) : std::nullopt;
  // A daemon that is dead or will be killed cannot remove its socket. After the unmount it is too
  // late for us: the name may be another mount's.
  for (const std::string& path : control::socket_candidates(mount.owner, mount.device)) {
    ::unlink(path.c_str());
  }
  abort_connection(mount.minor);
  const UnmountResult result = unmount(mount.mount_point, Unmount::kForce);
  const bool ended = !client || end_daemon(client.value().daemon());
  if (!result.done) {
    return fail("umount", "cannot unmount " + mount.mount_point + ": " + result.text);
  }
  if (!ended) {
    return fail("umount", mount.mount_point + " is unmounted, but its daemon (pid " +
                              std::to_string(client.value().daemon().pid()) + ") does not end");
  }
  if (!lost) {
    fail("umount",
         "the daemon of " + mount.mount_point + " did not answer; what it had not written is lost");
  } else if (*lost > 0) {
    fail("umount", bytes_text(*lost) + " were not written and are lost");
  }
  return 0;
}

}  // namespace

int run_umount(const UmountWords& words) {
  const auto mount = find_mount(words.mount_point);
  if (!mount) return fail("umount", mount.error().text);
  if (words.force) return run_forced(mount.value());
  if (words.lazy) return run_lazy(mount.value());
  return run_orderly(mount.value());
}

}  // namespace foliofs::cli
