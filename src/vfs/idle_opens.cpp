#include "idle_opens.h"

#include <fcntl.h>

#include "mount_core.h"

namespace foliofs::vfs {

namespace {

constexpr Duration kPause = std::chrono::seconds(1);
constexpr Duration kRoomPatience = std::chrono::seconds(5);
// By then a server without room has asked everybody for what nobody uses, and has it.
constexpr Duration kOthersClose = std::chrono::milliseconds(2500);

}  // namespace

bool IdleOpens::is_still_permitted(const Inode& inode, const ServerOpen& open) const {
  const bool same_session = open.incarnation == core_.session.incarnation() && !open.locks_lost;
  const bool leased =
      core_.leases.holds(inode) && inode.lease.number == open.lease && inode.lease.returning == 0;
  // Nor has this client changed the file since the open was asked for.
  return same_session && leased && open.asked_at >= inode.changed_at;
}

bool IdleOpens::keep(const Inode& inode, const std::shared_ptr<ServerOpen>& open) {
  const std::size_t most = core_.session.hello().idle_opens;
  if (core_.stopping || most == 0 || open->writable() || inode.lookups == 0) return false;
  if (!is_still_permitted(inode, *open)) return false;
  // With the last open of a file the server drops locks of which the client does not know.
  if (open->requests != 0 || !inode.locks.get().none()) return false;
  close(inode);
  const TimePoint now = core_.clock.now();
  if (idle_.size() >= most) {
    const Idle& oldest = idle_.get<1>().front();
    if (now - oldest.since < kLong) return false;
    close_later(oldest.open);
    idle_.get<1>().pop_front();
  }
  idle_.insert({inode.node, open, now});
  return true;
}

const ServerOpen* IdleOpens::find(const Inode& inode, int flags) const {
  const auto found = idle_.find(inode.node);
  if (found == idle_.end()) return nullptr;
  const ServerOpen& open = *found->open;
  const bool same = open.flags == (flags & ServerOpen::kFlags);
  return same && is_still_permitted(inode, open) ? &open : nullptr;
}

std::shared_ptr<ServerOpen> IdleOpens::take(const Inode& inode) {
  const auto found = idle_.find(inode.node);
  std::shared_ptr<ServerOpen> open = found->open;
  idle_.erase(found);
  return open;
}

void IdleOpens::close(const Inode& inode) {
  if (idle_.contains(inode.node)) close_later(take(inode));
}

void IdleOpens::close_all() {
  const auto all = std::exchange(idle_, {});
  for (const Idle& idle : all.get<1>()) close_later(idle.open);
}

void IdleOpens::close_later(std::shared_ptr<ServerOpen> open) {
  closing_.push_back(std::move(open));
  if (core_.stopping || closers_ == kClosers) return;
  ++closers_;
  core_.spawn_unawaited("close idle", close_some(core_));
}

Task<bool> IdleOpens::make_room(Errno error) {
  const bool others_have_it = error == Errno(ENFILE) && core_.session.hello().idle_opens != 0;
  if (error != Errno(EMFILE) && !others_have_it) co_return false;
  if (!idle_.empty() || closers_ != 0) {
    close_all();
    (void)co_await wait_at_most(core_.clock, kRoomPatience, until_closed(core_));
    co_return true;
  }
  if (others_have_it) co_await core_.clock.sleep(kOthersClose);
  co_return others_have_it;
}

Task<void> IdleOpens::until_closed(MountCore& core) {
  while (core.idle_opens.closers_ != 0) co_await core.idle_opens.closed_.wait();
}

// Does not keep the mount from ending: the server may be away then.
Task<void> IdleOpens::close_some(MountCore& core) {
  const std::weak_ptr<MountCore*> alive = core.self;
  IdleOpens& idle = core.idle_opens;
  while (!idle.closing_.empty()) {
    const std::shared_ptr<ServerOpen> open = std::move(idle.closing_.front());
    idle.closing_.pop_front();
    const Status closed = co_await core.try_to_close(open);
    if (alive.expired()) co_return;
    if (closed || closed.error() != Errno(ETIMEDOUT)) continue;
    // The server is away, and may come back to the same session.
    idle.closing_.push_back(open);
    co_await core.clock.sleep(kPause);
    if (alive.expired()) co_return;
  }
  if (--idle.closers_ == 0) idle.closed_.wake_all();
}

}  // namespace foliofs::vfs
