// InodeLocks: what programs of this client have locked in one file, so that it can be unlocked when
// they close the file, and locked again in another session.
//
// The server decides; this only records what it has granted. Requests of one owner go one at a
// time, each in its turn, because the server may take requests in any order and an unlock must not
// overtake the lock that it undoes. Whoever has the turn waits for nothing but replies to its
// requests.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "foliofs/base/lock_ranges.h"
#include "foliofs/base/task.h"
#include "foliofs/base/wait_queue.h"

namespace foliofs::vfs {

struct ServerOpen;

struct LockOwnerId {
  bool whole_file = false;  // flock(2)
  std::uint64_t id = 0;
  friend auto operator<=>(const LockOwnerId&, const LockOwnerId&) = default;
};

struct OwnerLocks {
  LockRanges ranges;
  std::uint32_t pid = 0;             // of the process that took the latest
  std::shared_ptr<ServerOpen> open;  // through which it took that
  std::uint64_t incarnation = 0;     // of the session that holds them
  // A request has failed without an answer: the server may hold more than `ranges`.
  bool in_doubt = false;
};

class InodeLocks {
 public:
  std::map<LockOwnerId, OwnerLocks> owners;

  // Whether nobody has a lock, or is getting one.
  bool none() const { return owners.empty() && busy_.empty(); }
  // Whether the owner may have a lock, or is getting one.
  bool concern(LockOwnerId owner) const { return owners.contains(owner) || busy_.contains(owner); }
  // The owners whose latest lock was taken through `open`.
  std::vector<LockOwnerId> owners_through(const std::shared_ptr<ServerOpen>& open) const {
    std::vector<LockOwnerId> through;
    for (const auto& [id, owner] : owners) {
      if (owner.open == open) through.push_back(id);
    }
    return through;
  }
  // The open of a lock that was held in a session other than this one; nullptr when there is none.
  std::shared_ptr<ServerOpen> open_of_stale(std::uint64_t incarnation) const {
    for (const auto& [id, owner] : owners) {
      if (owner.incarnation != incarnation) return owner.open;
    }
    return nullptr;
  }

  // An owner's turn, for as long as this object lives. The locks must outlive it.
  class Turn {
   public:
    Turn(Turn&& other) noexcept
        : locks_(std::exchange(other.locks_, nullptr)), owner_(other.owner_) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (locks_ == nullptr) return;
      locks_->busy_.erase(owner_);
      locks_->turn_ended_.wake_all();
    }

   private:
    friend class InodeLocks;
    Turn(InodeLocks& locks, LockOwnerId owner) : locks_(&locks), owner_(owner) {}

    InodeLocks* locks_;
    LockOwnerId owner_;
  };
  Task<Turn> turn(LockOwnerId owner) {
    while (!busy_.insert(owner).second) co_await turn_ended_.wait();
    co_return Turn(*this, owner);
  }

 private:
  std::set<LockOwnerId> busy_;
  WaitQueue turn_ended_;
};

}  // namespace foliofs::vfs
