// Services: what all connections of a server share.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "server/buffer_pool.h"
#include "server/export.h"
#include "server/pending_connections.h"
#include "server/session_table.h"

namespace foliofs::server {

struct Services {
  Services(std::size_t max_sessions, std::size_t max_pending)
      : sessions(max_sessions), pending(max_pending) {}

  // Immutable while the server runs. Exports outlive sessions, buffers outlive everything.
  BufferPool buffers;
  std::map<std::string, Export, std::less<>> exports;
  std::chrono::milliseconds grace{};          // how long a session lives without a connection
  std::chrono::milliseconds hello_timeout{};  // from connecting to HELLO
  std::uint64_t write_verifier = 0;

  // Thread-safe.
  SessionTable sessions;
  PendingConnections pending;
};

}  // namespace foliofs::server
