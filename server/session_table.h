// SessionTable: all sessions, connected or not.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "server/session.h"

namespace foliofs::server {

// Thread-safe.
class SessionTable {
 public:
  explicit SessionTable(std::size_t max_sessions = 4096) : max_sessions_(max_sessions) {}

  // To be set up before the first session begins.
  OpenBudget& open_budget() { return open_budget_; }

  // If there are too many sessions, ends the one without open files that has been without a
  // connection for longest; EBUSY when there is no such session.
  Result<std::shared_ptr<Session>> begin(const Export& share, bool read_only, bool wants_leases,
                                         std::uint32_t slots);
  // nullptr when there is none.
  std::shared_ptr<Session> find(std::span<const std::uint8_t> id) const;
  void remove(const SessionId& id);
  // Removes the sessions whose grace period is over. The caller must end them.
  std::vector<std::shared_ptr<Session>> take_expired(SteadyTime now,
                                                     std::chrono::milliseconds grace);
  std::vector<std::shared_ptr<Session>> take_all();
  // Voids all leases of each session that has left a recall unanswered for longer than `patience`.
  void revoke_overdue_leases(SteadyTime now, std::chrono::milliseconds patience);
  // Asks all clients to close unused opens when a quarter or less of the open budget is left.
  void keep_room_for_opens();
  // Voids the leases of every session of the export.
  void revoke_leases(const Export& share);

 private:
  struct Hash {
    std::size_t operator()(const SessionId& id) const noexcept {
      std::size_t hash;
      std::memcpy(&hash, id.data(), sizeof hash);
      return hash;
    }
  };

  // Removes the session that is given up for another one; the caller must end it. nullptr: none can
  // be given up.
  std::shared_ptr<Session> evict_idle();
  std::vector<std::shared_ptr<Session>> all() const;

  const std::size_t max_sessions_;
  OpenBudget open_budget_;
  mutable std::mutex mutex_;  // guards what follows
  std::uint64_t next_number_ = 1;
  std::unordered_map<SessionId, std::shared_ptr<Session>, Hash> sessions_;
};

}  // namespace foliofs::server
