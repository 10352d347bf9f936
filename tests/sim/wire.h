// Wire: both directions of one connection between a client and the server. A test can hold up a
// direction and cut the wire.
#pragma once

#include <memory>
#include <string>

#include "foliofs/base/wait_queue.h"
#include "foliofs/rpc/transport.h"
#include "tests/sim/random.h"

namespace foliofs::sim {

class Wire {
 public:
  // One direction: bytes that were written and not read yet. A read takes all of them, or as many
  // as `random` chooses.
  class Direction {
   public:
    explicit Direction(Random& random) : random_(random) {}
    // ECONNRESET once the wire is cut; bytes that were not read before are lost.
    Task<Result<std::size_t>> read_some(std::span<const iovec> into);
    void write(std::span<const std::byte> bytes);
    void hold(bool held);
    void cut();
    bool is_cut() const { return cut_; }

   private:
    Random& random_;
    std::string bytes_;
    bool held_ = false;
    bool cut_ = false;
    WaitQueue changed_;
  };

  explicit Wire(Random& random) : to_server(random), to_client(random) {}

  Direction to_server;
  Direction to_client;

  void cut() {
    to_server.cut();
    to_client.cut();
  }
};

// The client's end of a wire.
class WireTransport final : public rpc::Transport {
 public:
  explicit WireTransport(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
  ~WireTransport() override { wire_->cut(); }

  Task<Result<std::size_t>> read_some(std::span<const iovec> into) override;
  Task<Status> write_all(std::span<const iovec> from) override;
  void close() override { wire_->cut(); }

 private:
  const std::shared_ptr<Wire> wire_;
};

}  // namespace foliofs::sim
