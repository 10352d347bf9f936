// ControlServer: the control socket of a mount. It exchanges lines of JSON over a Unix stream
// socket and knows the user at the other end. The CommandHandler carries out the commands.
//
// A request is an object with "command". The reply is one line (command_handler.h), which lines
// {"progress": …} may precede. The server itself handles only the command "watch": after it, the
// connection also receives what announce() sends.
//
// Only root and the user of this process may send commands. The length of lines, the number of
// connections and the time that a peer takes to send or to read a line are limited; the time that a
// command takes is not.
//
// Single-threaded, on the loop of the executor, which is also the mount's loop.
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

  // Makes the socket with mode 0600, and first removes whatever has its name: the name is the
  // mount's device number, and we own the mount that has that number now. Errors: ENAMETOOLONG and
  // the errnos of bind().
  Status listen(const std::string& path);

  // Sends a line to every connection that watches. Never waits.
  void announce(const nlohmann::json& message);

  // Removes the socket's name, so that the next mount with the device number can use it, and
  // accepts no further connections. Existing connections stay. Idempotent.
  void withdraw();

  // Calls withdraw(), closes idle connections, and returns when the commands in progress have been
  // answered.
  Task<void> stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace foliofs::control
