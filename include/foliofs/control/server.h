// ControlServer: the control socket of a mount. It speaks lines of JSON on a Unix stream socket and
// knows who is at the other end; what the commands mean is the CommandHandler's.
//
// A request is an object with "command". Its reply is one line (command_handler.h); lines
// {"progress": …} may come before it. The one command of the server's own is "watch": the
// connection then also receives what announce() says.
//
// Only root and the user of this process are served. Lines, connections and the time that a peer
// takes to send or to read a line are bounded; the time that a command takes is not.
//
// Single-threaded on the loop of the executor, which is the mount's own.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "foliofs/base/result.h"
#include "foliofs/base/task.h"
#include "foliofs/control/command_handler.h"

namespace foliofs::control {

struct ControlLimits {
  std::size_t line_bytes = 64 << 10;
  std::size_t connections = 32;
  std::chrono::milliseconds peer_timeout_ms{10'000};
};

class ControlServer {
 public:
  // `handler` must outlive the server. REQUIRES: stop() has returned before the destructor, or
  // listen() was never called.
  ControlServer(Executor executor, CommandHandler& handler, ControlLimits limits = {});
  ~ControlServer();

  // Makes the socket with mode 0600. Whatever has this name is removed: the name is a device
  // number, and the mount that has it now is ours. ENAMETOOLONG, and the errnos of bind().
  Status listen(const std::string& path);

  // Sends a line to every connection that watches. Never waits.
  void announce(const nlohmann::json& message);

  // Takes the socket's name away, so that the next mount with the device number can have it, and
  // accepts nobody any more. Connections stay. Idempotent.
  void withdraw();

  // withdraw(), closes idle connections, and returns when the commands under way have been
  // answered.
  Task<void> stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace foliofs::control
