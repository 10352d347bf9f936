// SessionTable: all sessions, whichever connection they have.
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

  // Ends the session that has been without a connection for longest, of those without open files,
  // when there are too many; EBUSY when there is no such session.
  Result<std::shared_ptr<Session>> begin(const Export& share, bool read_only, bool wants_leases,
                                         std::uint32_t slots);
  // nullptr when there is none.
  std::shared_ptr<Session> find(std::span<const std::uint8_t> id) const;
  void remove(const SessionId& id);
  // Takes out those that have expired for want of a connection; to be ended.
  std::vector<std::shared_ptr<Session>> take_expired(SteadyTime now,
                                                     std::chrono::milliseconds grace);
  std::vector<std::shared_ptr<Session>> take_all();
  // Of those that have not answered a recall for so long, all leases are void.
  void revoke_overdue_leases(SteadyTime now, std::chrono::milliseconds patience);
  // Asks everybody to close what nobody uses when a quarter of the room for opens is left.
  void keep_room_for_opens();
  // The leases of every session of the export are void.
  void revoke_leases(const Export& share);

 private:
  struct Hash {
    std::size_t operator()(const SessionId& id) const noexcept {
      std::size_t hash;
      std::memcpy(&hash, id.data(), sizeof hash);
      return hash;
    }
  };

  // Takes out the session that is given up for another one; to be ended. nullptr: there is none.
  std::shared_ptr<Session> evict_idle();
  std::vector<std::shared_ptr<Session>> all() const;

  const std::size_t max_sessions_;
  OpenBudget open_budget_;
  mutable std::mutex mutex_;  // guards what follows
  std::uint64_t next_number_ = 1;
  std::unordered_map<SessionId, std::shared_ptr<Session>, Hash> sessions_;
};

}  // namespace foliofs::server
