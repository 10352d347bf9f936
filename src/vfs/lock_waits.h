// LockWaits: the waits for locks that the server will grant some time, and what becomes of locks
// when connections and sessions go.
//
// A wait is no request: nothing is under way while it lasts. It ends when the server says that the
// lock is granted, or when it is interrupted. When a connection is lost, every waiter asks again,
// because the server's message may have been lost with it.
#pragma once

#include <cstdint>
#include <map>

#include "foliofs/vfs/operations.h"

namespace foliofs::vfs {

class LockWaits {
 public:
  // `core` must outlive it.
  explicit LockWaits(MountCore& core) : core_(core) {}
  LockWaits(const LockWaits&) = delete;
  LockWaits& operator=(const LockWaits&) = delete;

  // The id under which the server knows `wait`, until remove().
  std::uint64_t add(LockWaitRef wait);
  void remove(std::uint64_t waiter) { waits_.erase(waiter); }
  void interrupt_all();

  // What the session reports.
  void granted(std::uint64_t waiter);
  void connection_lost();
  void session_renewed();

 private:
  MountCore& core_;
  std::map<std::uint64_t, LockWaitRef> waits_;
  std::uint64_t last_waiter_ = 0;
};

}  // namespace foliofs::vfs
