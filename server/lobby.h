// Lobby: the connections that have not said HELLO yet. Bounded: who has waited longest goes, for a
// client that means it says HELLO at once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "server/session.h"

namespace foliofs::server {

// Thread-safe.
class Lobby {
 public:
  using Ticket = std::uint64_t;

  explicit Lobby(std::size_t most) : most_(most) {}

  // May fence another connection.
  Ticket enter(std::weak_ptr<ReplySink> connection) {
    std::shared_ptr<ReplySink> evicted;
    Ticket ticket = 0;
    {
      std::lock_guard lock(mutex_);
      if (waiting_.size() >= most_) {
        evicted = waiting_.begin()->second.lock();
        waiting_.erase(waiting_.begin());
      }
      ticket = ++last_;
      waiting_.emplace(ticket, std::move(connection));
    }
    if (evicted != nullptr) evicted->fence();
    return ticket;
  }
  // Harmless when repeated, and for one that was evicted.
  void leave(Ticket ticket) {
    std::lock_guard lock(mutex_);
    waiting_.erase(ticket);
  }

 private:
  const std::size_t most_;
  std::mutex mutex_;  // guards what follows
  Ticket last_ = 0;
  std::map<Ticket, std::weak_ptr<ReplySink>> waiting_;  // oldest first
};

}  // namespace foliofs::server
