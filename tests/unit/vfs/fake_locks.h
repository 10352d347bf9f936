// The locks of a FakeServer: those of its client, and one that another client holds.
#pragma once

#include <fcntl.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "foliofs/base/lock_ranges.h"
#include "foliofs/proto/messages.h"

namespace foliofs::test {

class FakeLocks {
 public:
  std::function<void(std::uint64_t waiter)> granted;

  // Whether the client's `owner` holds any lock of the file.
  bool holds(std::uint64_t ino, std::uint64_t owner, bool whole_file = false) const {
    auto found = held_.find({ino, whole_file, owner});
    return found != held_.end() && !found->second.empty();
  }
  bool any() const {
    return std::any_of(held_.begin(), held_.end(), [](const auto& h) { return !h.second.empty(); });
  }
  std::size_t waiting() const { return waiting_.size(); }

  // Another client takes a lock of every file, as fcntl(2) and as flock(2). Locks that the client
  // holds already stay.
  void lock_by_another(LockType type, std::uint64_t start = 0, std::uint64_t end = kLastLockByte) {
    foreign_ = LockRange{start, end, type};
  }
  void unlock_by_another() {
    foreign_.reset();
    for (const Waiter& waiter : std::exchange(waiting_, {})) {
      held_[waiter.key].lock(waiter.range);
      granted_[waiter.id] = waiter;
      if (granted) granted(waiter.id);
    }
  }
  void forget_session() {
    held_.clear();
    waiting_.clear();
    granted_.clear();
  }

  // 0 if granted, -1 if it waits, or an errno.
  int request(std::uint64_t ino, const wire::LockRequestT& request) {
    const Key key{ino, request.whole_file, request.owner};
    const LockRange range = range_of(request);
    if (request.type == F_UNLCK) {
      held_[key].unlock(range.start, range.end);
      return 0;
    }
    if (granted_.erase(request.waiter) > 0) return 0;
    if (foreign_ && foreign_->conflicts(range)) {
      if (request.waiter == 0) return EAGAIN;
      for (const Waiter& waiter : waiting_) {
        if (waiter.id == request.waiter) return -1;
      }
      waiting_.push_back({request.waiter, key, range});
      return -1;
    }
    held_[key].lock(range);
    return 0;
  }

  std::optional<LockRange> test(const wire::TestLockRequestT& request) const {
    const LockRange range{request.start, request.end, type_of(request.type)};
    if (!foreign_ || !foreign_->conflicts(range)) return std::nullopt;
    return foreign_;
  }

  void cancel(std::uint64_t id) {
    std::erase_if(waiting_, [&](const Waiter& waiter) { return waiter.id == id; });
    auto found = granted_.find(id);
    if (found == granted_.end()) return;
    held_[found->second.key].unlock(found->second.range.start, found->second.range.end);
    granted_.erase(found);
  }

 private:
  using Key = std::tuple<std::uint64_t, bool, std::uint64_t>;  // file, flock(2), owner
  struct Waiter {
    std::uint64_t id = 0;
    Key key;
    LockRange range;
  };
  static LockType type_of(std::uint32_t type) {
    return type == F_WRLCK ? LockType::kWrite : LockType::kRead;
  }
  static LockRange range_of(const wire::LockRequestT& request) {
    if (request.whole_file) return {0, kLastLockByte, type_of(request.type)};
    return {request.start, request.end, type_of(request.type)};
  }

  std::map<Key, LockRanges> held_;
  std::optional<LockRange> foreign_;
  std::vector<Waiter> waiting_;
  std::map<std::uint64_t, Waiter> granted_;  // by LOCKGRANTED; the client has not repeated LOCK yet
};

}  // namespace foliofs::test
