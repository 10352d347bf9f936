#include "server/lock_table.h"

#include <utility>

namespace foliofs::server {

LockTable::LockTable(LockLimits limits) : limits_(limits) {}

void LockTable::tell(const Notices& notices) {
  for (const Notice& notice : notices) {
    if (auto listener = notice.listener.lock()) listener->lock_granted(notice.waiter);
  }
}

// --- Requests -----------------------------------------------------------------------------------

Result<bool> LockTable::lock(const LockRequest& request, std::uint64_t waiter, bool reclaim,
                             std::weak_ptr<LockListener> listener) {
  Notices notices;
  Result<bool> result = Errno(EIO);
  {
    std::lock_guard lock(mutex_);
    result = grant_or_enqueue(request, waiter, reclaim, std::move(listener), notices);
    forget_if_idle(request.file);
  }
  tell(notices);
  return result;
}

Result<bool> LockTable::grant_or_enqueue(const LockRequest& request, std::uint64_t waiter,
                                         bool reclaim, std::weak_ptr<LockListener> listener,
                                         Notices& notices) {
  SessionLocks& session = sessions_[request.owner.session];
  if (auto known = session.waiters.find(waiter); waiter != 0 && known != session.waiters.end()) {
    const bool granted = known->second.granted;
    if (granted) session.waiters.erase(known);
    return granted;
  }
  const bool too_early =
      expects_reclaims_ && std::chrono::steady_clock::now() - started_ < limits_.reclaim_time;
  if (too_early && !reclaim) return Errno(EINPROGRESS);
  if (session.locks >= limits_.locks_per_session) return Errno(ENOLCK);

  session.files.insert(request.file);
  FileLocks& file = files_[request.file];
  if (!conflict(file, request)) {
    grant(file, request);
    serve_waiting(file, notices);
    return true;
  }
  if (request.kind == LockKind::kWholeFile) {
    // flock(2) releases the old lock before it takes another.
    release(file, request);
    serve_waiting(file, notices);
  }
  if (waiter == 0) return Errno(EAGAIN);
  return enqueue(file, request, waiter, std::move(listener));
}

Result<bool> LockTable::enqueue(FileLocks& file, const LockRequest& request, std::uint64_t waiter,
                                std::weak_ptr<LockListener> listener) {
  SessionLocks& session = sessions_[request.owner.session];
  if (session.waiters.size() >= limits_.waiters_per_session) return Errno(ENOLCK);
  if (request.kind == LockKind::kBytes && deadlocks(request)) return Errno(EDEADLK);
  Waiter& waits = session.waiters[waiter];
  waits = {request, waiter, false, std::move(listener)};
  file.waiting.push_back(&waits);
  if (request.kind == LockKind::kBytes) waiting_owners_.emplace(request.owner, &waits);
  return false;
}

void LockTable::unlock(const LockRequest& request) {
  Notices notices;
  {
    std::lock_guard lock(mutex_);
    auto file = files_.find(request.file);
    if (file == files_.end()) return;
    release(file->second, request);
    serve_waiting(file->second, notices);
    forget_if_idle(request.file);
  }
  tell(notices);
}

std::optional<HeldLock> LockTable::test(const LockRequest& request) const {
  std::lock_guard lock(mutex_);
  auto file = files_.find(request.file);
  if (file == files_.end()) return std::nullopt;
  return conflict(file->second, request);
}

void LockTable::cancel(std::uint64_t session, std::uint64_t waiter) {
  Notices notices;
  {
    std::lock_guard lock(mutex_);
    auto owner = sessions_.find(session);
    if (owner == sessions_.end()) return;
    auto found = owner->second.waiters.find(waiter);
    if (found == owner->second.waiters.end()) return;
    const LockRequest request = found->second.request;
    FileLocks& file = files_[request.file];
    if (found->second.granted) {
      release(file, request);
    } else {
      stop_waiting(file, found->second);
    }
    owner->second.waiters.erase(found);
    serve_waiting(file, notices);
    forget_if_idle(request.file);
  }
  tell(notices);
}

// --- The end of a session's interest ------------------------------------------------------------

bool LockTable::concerns(std::uint64_t session, const FileId& file) const {
  std::lock_guard lock(mutex_);
  auto found = sessions_.find(session);
  return found != sessions_.end() && found->second.files.contains(file);
}

void LockTable::drop(std::uint64_t session, const FileId& file) {
  Notices notices;
  {
    std::lock_guard lock(mutex_);
    auto found = sessions_.find(session);
    if (found == sessions_.end() || found->second.files.erase(file) == 0) return;
    drop_file(found->second, session, file, notices);
  }
  tell(notices);
}

void LockTable::end_session(std::uint64_t session) {
  Notices notices;
  {
    std::lock_guard lock(mutex_);
    auto found = sessions_.find(session);
    if (found == sessions_.end()) return;
    const auto files = std::move(found->second.files);
    for (const FileId& file : files) drop_file(found->second, session, file, notices);
    sessions_.erase(found);
  }
  tell(notices);
}

void LockTable::drop_file(SessionLocks& session, std::uint64_t number, const FileId& id,
                          Notices& notices) {
  FileLocks& file = files_[id];
  std::erase_if(session.waiters, [&](const auto& item) {
    const Waiter& waiter = item.second;
    if (waiter.request.file != id) return false;
    if (!waiter.granted) stop_waiting(file, waiter);
    return true;
  });
  for (Held& held : file.held) {
    const auto first = held.lower_bound(LockOwner{number, 0});
    auto end = first;
    for (; end != held.end() && end->first.session == number; ++end) {
      session.locks -= end->second.ranges.size();
    }
    held.erase(first, end);
  }
  serve_waiting(file, notices);
  forget_if_idle(id);
}

void LockTable::expect_reclaims() {
  std::lock_guard lock(mutex_);
  expects_reclaims_ = true;
}

// --- Steps --------------------------------------------------------------------------------------

std::optional<HeldLock> LockTable::conflict(const FileLocks& file, const LockRequest& request) {
  for (const auto& [owner, locks] : held_of(file, request.kind)) {
    if (owner == request.owner) continue;
    if (auto range = locks.ranges.find_conflict(request.range)) return HeldLock{*range, locks.pid};
  }
  return std::nullopt;
}

bool LockTable::deadlocks(const LockRequest& request) const {
  std::vector<const LockRequest*> blocked{&request};
  std::set<LockOwner> seen;
  while (!blocked.empty()) {
    const LockRequest& waits = *blocked.back();
    blocked.pop_back();
    const auto file = files_.find(waits.file);
    if (file == files_.end()) continue;
    for (const auto& [owner, locks] : held_of(file->second, LockKind::kBytes)) {
      if (owner == waits.owner || !locks.ranges.find_conflict(waits.range)) continue;
      if (owner == request.owner) return true;
      if (!seen.insert(owner).second) continue;
      const auto [first, end] = waiting_owners_.equal_range(owner);
      for (auto it = first; it != end; ++it) blocked.push_back(&it->second->request);
    }
  }
  return false;
}

void LockTable::grant(FileLocks& file, const LockRequest& request) {
  OwnerLocks& locks = held_of(file, request.kind)[request.owner];
  std::size_t& count = sessions_[request.owner.session].locks;
  count -= locks.ranges.size();
  locks.ranges.lock(request.range);
  locks.pid = request.pid;
  count += locks.ranges.size();
}

void LockTable::release(FileLocks& file, const LockRequest& request) {
  Held& held = held_of(file, request.kind);
  auto found = held.find(request.owner);
  if (found == held.end()) return;
  std::size_t& count = sessions_[request.owner.session].locks;
  count -= found->second.ranges.size();
  found->second.ranges.unlock(request.range.start, request.range.end);
  count += found->second.ranges.size();
  if (found->second.ranges.empty()) held.erase(found);
}

void LockTable::stop_waiting(FileLocks& file, const Waiter& waiter) {
  std::erase(file.waiting, &waiter);
  const auto [first, end] = waiting_owners_.equal_range(waiter.request.owner);
  for (auto it = first; it != end; ++it) {
    if (it->second != &waiter) continue;
    waiting_owners_.erase(it);
    return;
  }
}

void LockTable::serve_waiting(FileLocks& file, Notices& notices) {
  // A granted lock may be weaker than what its owner had before, and so unblock other waiters in
  // turn.
  bool again = true;
  while (again) {
    again = false;
    for (auto it = file.waiting.begin(); it != file.waiting.end();) {
      Waiter& waiter = **it++;
      if (conflict(file, waiter.request)) continue;
      stop_waiting(file, waiter);
      waiter.granted = true;
      grant(file, waiter.request);
      notices.push_back({waiter.listener, waiter.id});
      again = true;
    }
  }
}

void LockTable::forget_if_idle(const FileId& id) {
  auto found = files_.find(id);
  if (found != files_.end() && found->second.idle()) files_.erase(found);
}

}  // namespace foliofs::server
