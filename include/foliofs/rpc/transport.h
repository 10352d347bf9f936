// Transport: an ordered stream of bytes to a server. Connector: makes one. TCP in production, a
// simulated wire in tests.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "foliofs/base/result.h"
#include "foliofs/base/task.h"

namespace foliofs::rpc {

class Transport {
 public:
  virtual ~Transport() = default;

  // Reads at least one byte into `into`, in order. Returns the bytes read.
  // ECONNRESET when the peer has closed or the connection is lost.
  virtual Task<Result<std::size_t>> read_some(std::span<const iovec> into) = 0;

  // Writes all of `from`. The memory must not change until this returns.
  virtual Task<Status> write_all(std::span<const iovec> from) = 0;

  // Closes both directions; reads and writes under way fail. Idempotent.
  virtual void close() = 0;
};

class Connector {
 public:
  virtual ~Connector() = default;

  // A connected stream. ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH … as the system reports them; ENXIO
  // when the host's name has no address. Waits no longer than `timeout_us`. Once begun it must not
  // use the connector, which may be destroyed before it ends: the session does not wait for a
  // connect that it does not want any more.
  virtual Task<Result<std::unique_ptr<Transport>>> connect(
      std::chrono::microseconds timeout_us) = 0;
};

// Connects by TCP (TCP_NODELAY, keep-alive) on the executor of the coroutine that calls connect().
std::unique_ptr<Connector> make_tcp_connector(std::string host, std::uint16_t port);

}  // namespace foliofs::rpc
