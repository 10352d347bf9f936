// ControlClient: sends commands to the daemon of a mount over its control socket (server.h).
// Blocking, for the command line; never touches the mount itself.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "foliofs/base/mount_table.h"
#include "foliofs/base/refusal.h"
#include "foliofs/base/unique_fd.h"
#include "foliofs/control/daemon_process.h"

namespace foliofs::control {

// The daemon answers a command that needs no server at once, unless it hangs.
inline constexpr std::chrono::seconds kAnswerTimeout{10};

class ControlClient {
 public:
  using Timeout = std::optional<std::chrono::milliseconds>;  // none: waits without limit

  // Connects to the daemon of `entry`. Refused if there is no daemon, if it accepts no connection,
  // or if it runs as neither root nor the owner of the mount.
  static RefusalOr<ControlClient> connect(const MountEntry& entry);

  // The same for a known socket. EPERM if the listener is neither root nor `owner`; otherwise the
  // errno of connect(). Never waits.
  static Result<ControlClient> attach(const std::string& socket_path, uid_t owner);

  // Sends `request` and returns the "result" of the reply. Refused with the daemon's own words, or
  // because the daemon ends or does not reply within `timeout`.
  RefusalOr<nlohmann::json> call(
      const nlohmann::json& request, Timeout timeout,
      const std::function<void(const nlohmann::json&)>& on_progress = {});

  // The next line from the daemon, for a connection that watches.
  RefusalOr<nlohmann::json> next_line(Timeout timeout);

  const DaemonProcess& daemon() const { return daemon_; }

 private:
  ControlClient(UniqueFd socket, DaemonProcess daemon)
      : socket_(std::move(socket)), daemon_(std::move(daemon)) {}

  UniqueFd socket_;
  DaemonProcess daemon_;
  std::string received_;  // bytes that next_line() has not returned yet
};

// Sends one request (requests.h) over a connection of its own. Refused as connect() and call() are.
RefusalOr<nlohmann::json> ask_daemon(const MountEntry& entry, const nlohmann::json& request,
                                     ControlClient::Timeout timeout = kAnswerTimeout);

}  // namespace foliofs::control
