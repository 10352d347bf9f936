// Locks. They are held at the server. Here is what surrounds them: waiting, making the file's data
// what it was when the lock was granted, and letting go when a file is closed.
#include <fcntl.h>

#include "foliofs/base/log.h"
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// After a restart the server keeps locks for their former holders, for some seconds.
constexpr Duration kReclaimRetry = std::chrono::milliseconds(200);
constexpr Duration kUnlockRetry = std::chrono::seconds(1);

LockOwnerId owner_of(const FileLock& lock) {
  return {lock.whole_file, lock.owner};
}

LockRange range_of(const FileLock& lock) {
  const LockType type = lock.type == F_WRLCK ? LockType::kWrite : LockType::kRead;
  if (lock.whole_file) return {0, kLastLockByte, type};
  return {lock.start, lock.end, type};
}

FileLock everything_of(LockOwnerId owner) {
  FileLock lock;
  lock.owner = owner.id;
  lock.whole_file = owner.whole_file;
  lock.type = F_UNLCK;
  lock.end = kLastLockByte;
  return lock;
}

wire::LockRequestT request_for(const ServerOpen& open, const FileLock& lock) {
  wire::LockRequestT request;
  request.open_id = open.id;
  request.owner = lock.owner;
  request.whole_file = lock.whole_file;
  request.type = lock.type;
  request.start = lock.start;
  request.end = lock.end;
  request.pid = lock.pid;
  return request;
}

// The server has not answered. It may hold a lock that was asked for or was to be given up.
void put_in_doubt(InodeLocks& locks, LockOwnerId id, const std::shared_ptr<ServerOpen>& open) {
  OwnerLocks& owner = locks.owners[id];
  owner.in_doubt = true;
  owner.open = open;
  owner.incarnation = open->incarnation;
}

// Records what the server has said, or not said, about a request for `lock` through `open`.
void record(InodeLocks& locks, const FileLock& lock, const std::shared_ptr<ServerOpen>& open,
            const Result<wire::LockReplyT>& reply) {
  const LockOwnerId id = owner_of(lock);
  const bool unanswered = !reply && InodeIo::is_away(reply.error());
  const bool held = reply && reply.value().granted;
  if (unanswered) put_in_doubt(locks, id, open);
  if (held || unanswered) {
    OwnerLocks& owner = locks.owners[id];
    if (held) owner.ranges.lock(range_of(lock));
    owner.pid = lock.pid;
    owner.open = open;
    owner.incarnation = open->incarnation;
    return;
  }
  // flock(2) gives up the old lock before it takes another.
  const bool refused = reply || reply.error() == Errno(EAGAIN);
  if (lock.whole_file && refused) locks.owners.erase(id);
}

// One request for a lock. True: it is held. False: `waiter` waits.
Task<Result<bool>> ask(MountCore& core, OpenFileRef file, FileLock lock, std::uint64_t waiter) {
  InodeRef inode = file->inode;
  auto open = file->server_open;
  for (int attempt = 0; attempt < InodeIo::kMaxAttempts; ++attempt) {
    auto current = co_await inode->io->ensure_current(open);
    if (!current) co_return current.error();
    if (open->locks_lost) co_return Errno(EIO);
    const auto turn = co_await inode->locks->turn(owner_of(lock));
    const std::uint64_t incarnation = open->incarnation;
    if (open->reopening || incarnation != core.session.incarnation()) continue;
    const ServerOpenRequest under_way(open);
    wire::LockRequestT request = request_for(*open, lock);
    request.waiter = waiter;
    auto reply = co_await core.session.call<wire::LockRequest>(request, incarnation);
    // A reply from a session that has gone since is worth nothing.
    if (core.session.incarnation() != incarnation) continue;
    record(*inode->locks, lock, open, reply);
    if (!reply) co_return reply.error();
    if (!reply.value().granted && waiter == 0) co_return Errno(EPROTO);
    co_return reply.value().granted;
  }
  co_return Errno(EIO);
}

Task<void> cancel(MountCore& core, OpenFileRef file, LockOwnerId owner, std::uint64_t waiter) {
  if (core.stopping) co_return;  // the session ends
  InodeRef inode = file->inode;
  const auto turn = co_await inode->locks->turn(owner);
  wire::CancelLockRequestT request;
  request.waiter = waiter;
  const std::uint64_t incarnation = core.session.incarnation();
  auto reply = co_await core.session.call<wire::CancelLockRequest>(request, incarnation);
  if (reply) co_return;
  log_debug("cancel lock: {}", errno_name(reply.error()));
  const bool same_session = file->server_open->incarnation == incarnation;
  if (InodeIo::is_away(reply.error()) && same_session) {
    put_in_doubt(*inode->locks, owner, file->server_open);
  }
}

// Asks until the lock is held, or cannot be had.
Task<Status> acquire(MountCore& core, Call call, OpenFileRef file, FileLock lock, LockWaitRef wait,
                     std::uint64_t waiter) {
  for (;;) {
    auto held = co_await ask(core, file, lock, waiter);
    if (held && held.value()) co_return success();
    if (!held && held.error() != Errno(EINPROGRESS)) co_return held.error();
    if (held) {
      co_await wait->wait();
    } else {
      co_await core.clock.sleep(kReclaimRetry);
    }
    const bool gone = !held && call.abandoned && call.abandoned();
    if (!gone && (!wait || !wait->interrupted())) continue;
    if (held) co_await cancel(core, file, owner_of(lock), waiter);
    co_return Errno(EINTR);
  }
}

using IsDue = std::function<bool(const OwnerLocks&)>;

// Tells the server that the owner of `lock` gives up these bytes. Does nothing unless this still is
// due when the owner's turn comes.
Task<Status> let_go(MountCore& core, InodeRef inode, FileLock lock, IsDue is_due = nullptr) {
  const LockOwnerId id = owner_of(lock);
  const auto turn = co_await inode->locks->turn(id);
  auto found = inode->locks->owners.find(id);
  if (found == inode->locks->owners.end()) co_return success();
  OwnerLocks& owner = found->second;
  if (is_due && !is_due(owner)) co_return success();
  const LockRange range = range_of(lock);
  if (!owner.in_doubt && !owner.ranges.find(range.start, range.end)) co_return success();
  auto open = owner.open;
  const std::uint64_t incarnation = owner.incarnation;
  owner.ranges.unlock(range.start, range.end);
  const bool everything = range.start == 0 && range.end == kLastLockByte;
  if (everything || (owner.ranges.empty() && !owner.in_doubt)) inode->locks->owners.erase(found);
  // If the session that held the lock is gone, so is the lock.
  if (incarnation != core.session.incarnation() || incarnation != open->incarnation) {
    co_return success();
  }
  const ServerOpenRequest under_way(open);
  const auto request = request_for(*open, lock);
  auto reply = co_await core.session.call<wire::LockRequest>(request, incarnation);
  if (reply || reply.error() == rpc::kSessionLost) co_return success();
  // A session that is resumed still has the lock. The owner's next unlock or the close asks again.
  if (InodeIo::is_away(reply.error()) && open->incarnation == incarnation) {
    put_in_doubt(*inode->locks, id, open);
  }
  co_return reply.error();
}

// Gives up everything of an owner, again and again until the server has answered.
Task<void> drop_all_of(MountCore& core, InodeRef inode, LockOwnerId owner, IsDue is_due) {
  const std::weak_ptr<MountCore*> alive = core.self;
  for (;;) {
    auto dropped = co_await let_go(core, inode, everything_of(owner), is_due);
    if (dropped) co_return;
    log_debug("unlock: {}", errno_name(dropped.error()));
    if (alive.expired() || core.stopping || dropped.error() != Errno(ETIMEDOUT)) co_return;
    co_await core.clock.sleep(kUnlockRetry);
    if (alive.expired()) co_return;
  }
}

// What was stored under the lock reaches the server before anybody else can have the lock.
Task<Status> unlock(MountCore& core, OpenFileRef file, FileLock lock) {
  InodeRef inode = file->inode;
  (void)co_await core.write_back(inode);
  co_await core.attribute_writeback.write(inode);
  if (file->server_open->writable()) co_await core.attribute_writeback.settle_mtime(inode);
  co_return co_await let_go(core, inode, lock);
}

}  // namespace

Task<Result<FileLock>> Operations::test_lock(OpenFileRef file, FileLock lock) {
  wire::TestLockRequestT request;
  request.owner = lock.owner;
  request.type = lock.type;
  request.start = lock.start;
  request.end = lock.end;
  auto reply =
      co_await file->inode->io->call_with<wire::TestLockRequest>(file->server_open, request);
  if (!reply) co_return reply.error();
  const wire::TestLockReplyT& found = reply.value();
  const bool is_lock = found.type == F_RDLCK || found.type == F_WRLCK;
  if (is_lock && (found.start > found.end || found.end > kLastLockByte)) co_return Errno(EPROTO);
  if (!is_lock && found.type != F_UNLCK) co_return Errno(EPROTO);
  lock.type = found.type;
  lock.start = found.start;
  lock.end = found.end;
  lock.pid = found.pid;
  co_return lock;
}

Task<Status> Operations::set_lock(Call call, OpenFileRef file, FileLock lock, LockWaitRef wait) {
  if (lock.type == F_UNLCK) co_return co_await unlock(core_, file, lock);
  const std::uint64_t waiter = wait ? core_.lock_waits.add(wait) : 0;
  auto held = co_await acquire(core_, call, file, lock, wait, waiter);
  if (wait) core_.lock_waits.remove(waiter);
  if (!held) co_return held;
  // The previous holder may have changed the file.
  core_.attributes.forget(*file->inode);
  auto seen = co_await getattr(call, file->inode->node, file);
  if (seen) co_return success();
  lock.type = F_UNLCK;
  (void)co_await let_go(core_, file->inode, lock);
  co_return seen.error();
}

Task<void> Operations::drop_locks(OpenFileRef file, std::uint64_t lock_owner) {
  const LockOwnerId owner{false, lock_owner};
  auto dropped = co_await let_go(core_, file->inode, everything_of(owner));
  if (dropped) co_return;
  log_debug("unlock at close: {}", errno_name(dropped.error()));
  if (dropped.error() != Errno(ETIMEDOUT) || core_.stopping) co_return;
  // close(2) has waited long enough. What the process locks from now on must not be taken away.
  auto nothing_since = [](const OwnerLocks& now) {
    return now.in_doubt && now.ranges.empty();
  };
  core_.spawn_unawaited("unlock", drop_all_of(core_, file->inode, owner, nothing_since));
}

// What a last close leaves: locks of flock(2), and those of fcntl(2) that belong to an open file
// (F_OFD_SETLK), for which the kernel sends nothing. A process's own locks have gone at its close.
// If others here have the file open, this open's CLOSE would not free the locks, so this waits
// until the server has answered.
Task<void> Operations::drop_locks_through(OpenFileRef file) {
  const auto open = file->server_open;
  for (const LockOwnerId owner : file->inode->locks.get().owners_through(open)) {
    // The process may lock anew through another open meanwhile.
    auto still_through_it = [open](const OwnerLocks& now) {
      return now.open == open;
    };
    co_await drop_all_of(core_, file->inode, owner, still_through_it);
  }
}

}  // namespace foliofs::vfs
