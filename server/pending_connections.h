// PendingConnections: the connections that have not sent HELLO yet. Bounded: a new one evicts the
// one that has waited longest. A real client sends HELLO at once and so is not the one evicted.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "server/reply_sink.h"

namespace foliofs::server {

// Thread-safe.
class PendingConnections {
 public:
  using Ticket = std::uint64_t;  // identifies one of them

  explicit PendingConnections(std::size_t limit) : limit_(limit) {}

  // May fence another connection.
  Ticket add(std::weak_ptr<ReplySink> connection) {
    std::shared_ptr<ReplySink> evicted;
    Ticket ticket = 0;
    {
      std::lock_guard lock(mutex_);
      if (pending_.size() >= limit_) {
        evicted = pending_.begin()->second.lock();
        pending_.erase(pending_.begin());
      }
      ticket = ++last_;
      pending_.emplace(ticket, std::move(connection));
    }
    if (evicted != nullptr) evicted->fence();
    return ticket;
  }
  // Harmless when repeated, and for an evicted connection.
  void remove(Ticket ticket) {
    std::lock_guard lock(mutex_);
    pending_.erase(ticket);
  }

 private:
  const std::size_t limit_;
  std::mutex mutex_;  // guards what follows
  Ticket last_ = 0;
  std::map<Ticket, std::weak_ptr<ReplySink>> pending_;  // oldest first
};

}  // namespace foliofs::server
