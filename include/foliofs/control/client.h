// ControlClient: asks the daemon of a mount over its control socket (server.h). Blocking, for the
// command line; never touches the mount itself.
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

// A command that needs no server is answered at once, unless the daemon stands still.
inline constexpr std::chrono::seconds kAnswerTimeout{10};

class ControlClient {
 public:
  using Timeout = std::optional<std::chrono::milliseconds>;  // none: for as long as it takes

  // Connects to the daemon of `entry`. Refused when there is none, when it takes nobody in, or when
  // it belongs neither to root nor to the owner of the mount.
  static RefusalOr<ControlClient> connect(const MountEntry& entry);

  // The same at a known socket. EPERM when it is listened to by neither root nor `owner`; else the
  // errno of connect(). Never waits.
  static Result<ControlClient> attach(const std::string& socket_path, uid_t owner);

  // The "result" of the reply. Refused with the daemon's own words, when the daemon ends, or when
  // the reply is not there after `timeout`.
  RefusalOr<nlohmann::json> call(
      const nlohmann::json& request, Timeout timeout,
      const std::function<void(const nlohmann::json&)>& on_progress = {});

  // The next line that the daemon sends, for a connection that watches.
  RefusalOr<nlohmann::json> next_line(Timeout timeout);

  const DaemonProcess& daemon() const { return daemon_; }

 private:
  ControlClient(UniqueFd socket, DaemonProcess daemon)
      : socket_(std::move(socket)), daemon_(std::move(daemon)) {}

  UniqueFd socket_;
  DaemonProcess daemon_;
  std::string received_;  // bytes after the last whole line
};

// One request (requests.h) over a connection of its own. Refused as connect() and call() are.
RefusalOr<nlohmann::json> ask_daemon(const MountEntry& entry, const nlohmann::json& request,
                                     ControlClient::Timeout timeout = kAnswerTimeout);

}  // namespace foliofs::control
