#include "server/session_table.h"

#include <optional>

#include "foliofs/base/log.h"
#include "server/random.h"

namespace foliofs::server {

Result<std::shared_ptr<Session>> SessionTable::begin(const Export& share, bool read_only,
                                                     bool wants_leases, std::uint32_t slots) {
  std::shared_ptr<Session> session;
  std::shared_ptr<Session> given_up;
  {
    std::lock_guard lock(mutex_);
    if (sessions_.size() >= max_sessions_) {
      given_up = evict_idle();
      if (given_up == nullptr) return Errno(EBUSY);
    }
    SessionId id;
    fill_random(id);
    session = std::make_shared<Session>(id, next_number_++, share, read_only, wants_leases, slots,
                                        open_budget_);
    session->leases().listen(session);
    sessions_.emplace(id, session);
  }
  // At once, so that nobody waits for the leases that it had.
  if (given_up != nullptr) given_up->end();
  return session;
}

std::shared_ptr<Session> SessionTable::evict_idle() {
  auto chosen = sessions_.end();
  std::optional<SteadyTime> longest;
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
    const auto since = it->second->idle_since();
    if (!since || (longest && *since >= *longest)) continue;
    longest = since;
    chosen = it;
  }
  if (chosen == sessions_.end() || !chosen->second->give_up()) return nullptr;
  auto given_up = std::move(chosen->second);
  sessions_.erase(chosen);
  return given_up;
}

std::shared_ptr<Session> SessionTable::find(std::span<const std::uint8_t> id) const {
  SessionId key;
  if (id.size() != key.size()) return nullptr;
  std::memcpy(key.data(), id.data(), key.size());
  std::lock_guard lock(mutex_);
  auto found = sessions_.find(key);
  return found == sessions_.end() ? nullptr : found->second;
}

void SessionTable::remove(const SessionId& id) {
  std::lock_guard lock(mutex_);
  sessions_.erase(id);
}

std::vector<std::shared_ptr<Session>> SessionTable::take_expired(SteadyTime now,
                                                                 std::chrono::milliseconds grace) {
  std::vector<std::shared_ptr<Session>> lost;
  std::lock_guard lock(mutex_);
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    auto here = it++;
    if (!here->second->expire(now, grace)) continue;
    lost.push_back(std::move(here->second));
    sessions_.erase(here);
  }
  return lost;
}

std::vector<std::shared_ptr<Session>> SessionTable::all() const {
  std::vector<std::shared_ptr<Session>> all;
  std::lock_guard lock(mutex_);
  all.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) all.push_back(session);
  return all;
}

void SessionTable::revoke_overdue_leases(SteadyTime now, std::chrono::milliseconds patience) {
  for (const auto& session : all()) {
    if (!session->leases().revoke_overdue(now - patience)) continue;
    log_warn("session {} has not answered a recall for {} s: its leases are void",
             session->number(), patience.count() / 1000);
  }
}

void SessionTable::keep_room_for_opens() {
  if (open_budget_.used < open_budget_.total - open_budget_.total / 4) return;
  for (const auto& session : all()) session->ask_for_idle_opens();
}

void SessionTable::revoke_leases(const Export& share) {
  for (const auto& session : all()) {
    if (&session->share() == &share) session->leases().revoke_all();
  }
}

std::vector<std::shared_ptr<Session>> SessionTable::take_all() {
  std::vector<std::shared_ptr<Session>> all;
  std::lock_guard lock(mutex_);
  all.reserve(sessions_.size());
  for (auto& [id, session] : sessions_) all.push_back(std::move(session));
  sessions_.clear();
  return all;
}

}  // namespace foliofs::server
