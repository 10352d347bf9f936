#include "idle_opens.h"

#include <fcntl.h>

#include "mount_core.h"

namespace foliofs::vfs {

namespace {

constexpr Duration kRoomPatience = std::chrono::seconds(5);
// By then a server without room has asked all clients for opens that nobody uses, and has got them.
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
  // When the last open of a file goes, the server drops locks that the client does not know of.
  if (open->requests != 0 || !inode.locks.get().none()) return false;
  close(inode);
  const TimePoint now = core_.clock.now();
  if (idle_.size() >= most) {
    const Idle& oldest = idle_.get<1>().front();
    if (now - oldest.since < kLong) return false;
    core_.closing_opens.close_later(oldest.open);
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
  if (idle_.contains(inode.node)) core_.closing_opens.close_later(take(inode));
}

void IdleOpens::close_all() {
  const auto all = std::exchange(idle_, {});
  for (const Idle& idle : all.get<1>()) core_.closing_opens.close_later(idle.open);
}

Task<bool> IdleOpens::make_room(Errno error) {
  const bool others_have_it = error == Errno(ENFILE) && core_.session.hello().idle_opens != 0;
  if (error != Errno(EMFILE) && !others_have_it) co_return false;
  if (!idle_.empty() || core_.closing_opens.any()) {
    close_all();
    co_await core_.closing_opens.until_closed(kRoomPatience);
    co_return true;
  }
  if (others_have_it) co_await core_.clock.sleep(kOthersClose);
  co_return others_have_it;
}

}  // namespace foliofs::vfs
