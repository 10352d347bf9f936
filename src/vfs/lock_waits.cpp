#include "lock_waits.h"

#include "foliofs/base/log.h"
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// Gives back a grant that nobody waits for any more.
Task<void> give_back(MountCore& core, std::uint64_t waiter) {
  wire::CancelLockRequestT request;
  request.waiter = waiter;
  auto reply = co_await core.session.call<wire::CancelLockRequest>(request);
  if (!reply) log_debug("cancel lock: {}", errno_name(reply.error()));
}

// Opens that hold locks are opened again at once, which takes the locks again. Until a program next
// reads or writes, others could get the locks.
Task<void> reclaim(MountCore& core, InodeRef inode) {
  while (auto open = inode->locks.get().open_of_stale(core.session.incarnation())) {
    auto current = co_await inode->io->ensure_current(open);
    if (!current) break;
  }
}

}  // namespace

std::uint64_t LockWaits::add(LockWaitRef wait) {
  waits_[++last_waiter_] = std::move(wait);
  return last_waiter_;
}

void LockWaits::interrupt_all() {
  for (auto& [id, wait] : waits_) wait->interrupt();
}

void LockWaits::granted(std::uint64_t waiter) {
  auto found = waits_.find(waiter);
  if (found != waits_.end()) return found->second->ask_again();
  if (!core_.stopping) core_.spawn("give back a lock", give_back(core_, waiter));
}

void LockWaits::connection_lost() {
  for (auto& [id, wait] : waits_) wait->ask_again();
}

void LockWaits::session_renewed() {
  if (core_.stopping) return;
  core_.inodes.for_each([this](const InodeRef& inode) {
    if (inode->locks.get().owners.empty()) return;
    core_.spawn("reclaim locks", reclaim(core_, inode));
  });
}

}  // namespace foliofs::vfs
