#include "attribute_writeback.h"

#include <sys/stat.h>

#include <vector>

#include "foliofs/base/log.h"
#include "mount_core.h"

namespace foliofs::vfs {

// --- Kept ---------------------------------------------------------------------------------------

bool AttributeWriteback::may_keep(const Inode& inode, const Caller& caller,
                                  const AttributeChange& change) const {
  constexpr std::uint32_t kKept =
      proto::kSetMode | proto::kSetUid | proto::kSetGid | proto::kSetAtime | proto::kSetMtime;
  const bool only_those = change.valid != 0 && (change.valid & ~kKept) == 0;
  // Other clients may wait for what is kept, so there must be a slot for it when all are taken.
  if (core_.session.hello().slots < rpc::kSlotsForOthers) return false;
  if (!only_those || core_.stopping || !core_.leases.is_exclusive(inode)) return false;
  const Attributes& known = inode.attributes;
  const bool keeps_owner = (change.valid & proto::kSetUid) == 0 || change.uid == known.uid;
  const bool keeps_group = (change.valid & proto::kSetGid) == 0 || change.gid == known.gid;
  const std::uint32_t mode = (change.valid & proto::kSetMode) != 0 ? change.mode : 0;
  const bool has_set_id = ((mode | known.mode) & (S_ISUID | S_ISGID)) != 0;
  // Bytes may go through any open for writing, with the rights of its opener.
  return keeps_owner && keeps_group && !has_set_id && caller.uid == known.uid &&
         inode.io->is_open_for(caller.uid) && known.is_regular();
}

void AttributeWriteback::keep(const InodeRef& inode, const Caller& caller,
                              const AttributeChange& change) {
  DirtyAttributes& dirty = *inode->dirty_attributes;
  AttributeChange& unsent = dirty.unsent;
  if (unsent.valid == 0) {
    dirty.before = inode->attributes;
    dirty.sent_mode = dirty.before.mode & 07777;
  }
  unsent.valid |= change.valid;
  if ((change.valid & proto::kSetMode) != 0) unsent.mode = change.mode;
  if ((change.valid & proto::kSetUid) != 0) unsent.uid = change.uid;
  if ((change.valid & proto::kSetGid) != 0) unsent.gid = change.gid;
  if ((change.valid & proto::kSetAtime) != 0) unsent.atime_ns = change.atime_ns;
  if ((change.valid & proto::kSetMtime) != 0) {
    unsent.mtime_ns = inode->local_mtime_ns = change.mtime_ns;
    dirty.mtime_is_set = inode->mtime_shown = true;
    dirty.after_write = inode->io->latest_write();
  }
  dirty.setter = caller;
  dirty.set_at_ns = core_.clock.wall_ns();
  ++dirty.version;
  write_when_old(inode);
}

bool AttributeWriteback::is_dirty(const Inode& inode) {
  if (!inode.dirty_attributes) return false;
  const DirtyAttributes& dirty = inode.dirty_attributes.get();
  return dirty.unsent.valid != 0 || dirty.requests != 0;
}

void AttributeWriteback::show(const Inode& inode, Attributes& shown) {
  const DirtyAttributes& dirty = inode.dirty_attributes.get();
  const AttributeChange& unsent = dirty.unsent;
  if ((unsent.valid & proto::kSetMode) != 0) {
    shown.mode = (shown.mode & S_IFMT) | (unsent.mode & ~static_cast<std::uint32_t>(S_IFMT));
  }
  if ((unsent.valid & proto::kSetAtime) != 0) shown.atime_ns = unsent.atime_ns;
  if (unsent.valid != 0) shown.ctime_ns = std::max(shown.ctime_ns, dirty.set_at_ns);
}

void AttributeWriteback::stored(Inode& inode) {
  if (!inode.dirty_attributes) return;
  inode.dirty_attributes->mtime_is_set = false;
  superseded(inode, proto::kSetMtime);
}

void AttributeWriteback::superseded(Inode& inode, std::uint32_t valid) {
  if (!is_dirty(inode)) return;
  DirtyAttributes& dirty = *inode.dirty_attributes;
  if ((valid & proto::kSetAtimeNow) != 0) valid |= proto::kSetAtime;
  if ((valid & (proto::kSetMtimeNow | proto::kSetSize)) != 0) valid |= proto::kSetMtime;
  if ((dirty.unsent.valid & valid) == 0) return;
  dirty.unsent.valid &= ~valid;
  ++dirty.version;
}

// --- Written ------------------------------------------------------------------------------------

namespace {

// The server has understood, and would say the same the next time.
bool is_refusal(Errno error) {
  return error == Errno(EPERM) || error == Errno(EACCES) || error == Errno(EROFS) ||
         error == Errno(EINVAL) || error == Errno(ESTALE);
}

}  // namespace

Task<void> AttributeWriteback::write(InodeRef inode) {
  if (!inode->dirty_attributes) co_return;
  DirtyAttributes& dirty = *inode->dirty_attributes;
  for (;;) {
    // WRITEs that began before the mtime was set would move it again.
    while (dirty.requests != 0 || inode->io->is_under_way(dirty.after_write)) {
      if (dirty.requests != 0) co_await dirty.answered.wait();
      co_await inode->io->until_written(dirty.after_write);
    }
    if (dirty.unsent.valid == 0) co_return core_.drop_if_unused(inode);
    CarriedAttributes carried(inode);
    auto sent = co_await send(inode, carried);
    // What was set meanwhile goes in the next round.
    if (sent || !carried.are_latest()) continue;
    const Errno error = sent.error();
    if (is_refusal(error)) dirty.unsent.valid = 0;
    // Nobody is interested in the attributes of a file that nobody can reach.
    if (error == Errno(ESTALE)) continue;
    log_warn("{}: owner, mode or times could not be set: {}", inode->name, errno_name(error));
    inode->mapping->errors().record(error);
    if (dirty.unsent.valid == 0) continue;
    // The program that is told may close the file, and others may change it before the next
    // attempt.
    dirty.unsure = true;
    write_when_old(inode);
    co_return;
  }
}

Task<void> AttributeWriteback::write_for_others(InodeRef inode) {
  const std::uint32_t unsent = inode->dirty_attributes.get().unsent.valid;
  if ((unsent & proto::kSetMtime) != 0 && inode->has_few_dirty_bytes()) {
    (void)co_await core_.write_back(inode);
    // With the mtime as it was set; the next mtime is the other client's.
    co_await core_.attribute_writeback.settle_mtime(inode);
  }
  co_await write(std::move(inode));
}

// Not through exchange_on(), which waits for this.
Task<Status> AttributeWriteback::send(InodeRef inode, CarriedAttributes& carried) {
  const DirtyAttributes& dirty = *inode->dirty_attributes;
  const AttributeChange& unsent = dirty.unsent;
  for (int attempt = 1;; ++attempt) {
    if (dirty.unsure) {
      auto looked = co_await look_again(inode);
      if (!looked) co_return looked;
    }
    if (unsent.valid == 0) co_return success();
    if (!carried.are_latest()) co_return Errno(EAGAIN);
    wire::SetAttrRequestT request = to_wire(unsent);
    request.caller = std::make_unique<wire::CallerT>(to_wire(dirty.setter));
    request.handle = inode->handle;
    const std::uint64_t asked_at = core_.logical_time;
    auto reply =
        co_await core_.session.call<wire::SetAttrRequest>(request, 0, rpc::Urgency::kOthersWait);
    if (reply && !reply.value().attributes) co_return Errno(EPROTO);
    if (reply) {
      const Attributes now = from_wire(*reply.value().attributes);
      core_.attributes.take_own_change(*inode, now, asked_at);
      carried.arrived(now);
      // Bytes that are still to be written will need the shown mtime once more.
      const bool shown = (request.valid & proto::kSetMtime) != 0 && dirty.mtime_is_set;
      if (shown && !inode->dirty()) inode->mtime_shown = false;
      co_return success();
    }
    const bool again = attempt < InodeIo::kMaxAttempts;
    if (again && reply.error() == rpc::kSessionLost) continue;
    if (!again || reply.error() != Errno(ESTALE)) {
      co_return reply.error() == rpc::kSessionLost ? Errno(EIO) : reply.error();
    }
    auto found = co_await core_.names.find_again(inode, *request.caller);
    if (!found) co_return found.error();
    if (!found.value()) co_return Errno(ESTALE);
  }
}

// What others have set came after what was set here, because nobody else could set anything
// while the exclusive lease was held.
Task<Status> AttributeWriteback::look_again(InodeRef inode) {
  DirtyAttributes& dirty = *inode->dirty_attributes;
  wire::GetAttrRequestT request;
  request.caller = std::make_unique<wire::CallerT>(to_wire(dirty.setter));
  request.handle = inode->handle;
  Result<wire::AttrReplyT> reply = rpc::kSessionLost;
  for (int attempt = 0; !reply && reply.error() == rpc::kSessionLost; ++attempt) {
    if (attempt == InodeIo::kMaxAttempts) co_return Errno(EIO);
    dirty.unsure = false;  // leases may end once more meanwhile
    reply =
        co_await core_.session.call<wire::GetAttrRequest>(request, 0, rpc::Urgency::kOthersWait);
    if (!reply) dirty.unsure = true;
  }
  // If the file has another handle by now, it is found when the attributes are sent.
  if (!reply && reply.error() == Errno(ESTALE)) dirty.unsure = false;
  if (!reply && reply.error() != Errno(ESTALE)) co_return reply.error();
  if (!reply) co_return success();
  if (!reply.value().attributes) co_return Errno(EPROTO);
  const Attributes now = from_wire(*reply.value().attributes);
  const Attributes& before = dirty.before;
  std::uint32_t others = 0;
  const bool mode_is_ours = now.mode == before.mode || (now.mode & 07777) == dirty.sent_mode;
  if (!mode_is_ours || now.uid != before.uid || now.gid != before.gid) {
    others |= proto::kSetMode | proto::kSetUid | proto::kSetGid;
  }
  const bool counted = now.change_epoch == before.change_epoch;
  if (counted && now.foreign_changes != before.foreign_changes) {
    others |= proto::kSetAtime | proto::kSetMtime;
    if (dirty.mtime_is_set && !inode->dirty()) inode->mtime_shown = false;
  }
  superseded(*inode, others);
  co_return success();
}

Task<void> AttributeWriteback::settle_mtime(InodeRef inode) {
  if (!inode->mtime_shown || inode->dirty()) co_return;
  if (inode->attributes.mtime_ns != inode->local_mtime_ns) {
    auto status = co_await inode->io->set_mtime(inode->local_mtime_ns);
    if (!status) log_debug("set mtime: {}", errno_name(status.error()));
  }
  if (!inode->dirty()) inode->mtime_shown = false;
}

Task<Status> AttributeWriteback::write_all() {
  std::vector<InodeRef> inodes;
  core_.inodes.for_each([&](const InodeRef& inode) {
    if (is_dirty(*inode)) inodes.push_back(inode);
  });
  for (const InodeRef& inode : inodes) {
    co_await write(inode);
    // The next file would wait as long for a server that is away.
    if (is_dirty(*inode)) co_return Errno(EIO);
  }
  co_return success();
}

void AttributeWriteback::leases_lost() {
  core_.inodes.for_each([&](const InodeRef& inode) {
    if (!is_dirty(*inode)) return;
    inode->dirty_attributes->unsure = true;
    if (core_.stopping) return;
    core_.spawn("attributes", write(inode));
  });
}

void AttributeWriteback::write_when_old(const InodeRef& inode) {
  if (std::exchange(inode->dirty_attributes->expires, true)) return;
  expiring_.push_back({inode, core_.clock.now()});
  if (!std::exchange(writes_old_, true)) core_.spawn_unawaited("old attributes", write_old(core_));
}

Task<void> AttributeWriteback::write_old(MountCore& core) {
  const std::weak_ptr<MountCore*> alive = core.self;
  auto& expiring = core.attribute_writeback.expiring_;
  while (!expiring.empty()) {
    const Duration age = core.clock.now() - expiring.front().since;
    const Duration left = core.options.cache.dirty_expire - age;
    if (left > Duration::zero()) {
      co_await core.clock.sleep(std::min<Duration>(left, std::chrono::seconds(1)));
      if (alive.expired() || core.stopping) co_return;
      continue;
    }
    InodeRef inode = expiring.front().inode.lock();
    expiring.pop_front();
    if (!inode) continue;
    inode->dirty_attributes->expires = false;
    if (is_dirty(*inode)) core.spawn("attributes", core.attribute_writeback.write(inode));
  }
  core.attribute_writeback.writes_old_ = false;
}

// --- Carried ------------------------------------------------------------------------------------

Task<Result<CarriedAttributes>> AttributeWriteback::carry(InodeRef inode, const ServerOpen& open,
                                                          wire::WriteRequestT& request) {
  if (!inode->dirty_attributes) co_return CarriedAttributes();
  DirtyAttributes& dirty = *inode->dirty_attributes;
  // Not write(): that may wait for this very WRITE.
  if (dirty.unsure && dirty.unsent.valid != 0) {
    auto looked = co_await look_again(inode);
    if (!looked) co_return looked.error();
  }
  // The server must not get bytes before a mode that was set before them.
  while (dirty.requests != 0 && dirty.sent_version != dirty.version) {
    co_await dirty.answered.wait();
  }
  const AttributeChange& unsent = dirty.unsent;
  if (unsent.valid == 0 || open.opener.uid != dirty.setter.uid) co_return CarriedAttributes();
  request.valid = unsent.valid & ~std::uint32_t{proto::kSetMtime};
  request.mode = unsent.mode;
  request.uid = unsent.uid;
  request.gid = unsent.gid;
  request.atime_ns = unsent.atime_ns;
  if ((unsent.valid & proto::kSetMtime) != 0) {
    request.flags |= proto::kWriteSetMtime;
    request.mtime_ns = unsent.mtime_ns;
  }
  co_return CarriedAttributes(std::move(inode));
}

CarriedAttributes::CarriedAttributes(InodeRef inode) : inode_(std::move(inode)) {
  DirtyAttributes& dirty = *inode_->dirty_attributes;
  version_ = dirty.sent_version = dirty.version;
  if ((dirty.unsent.valid & proto::kSetMode) != 0) dirty.sent_mode = dirty.unsent.mode & 07777;
  ++dirty.requests;
}

bool CarriedAttributes::are_latest() const {
  return version_ == inode_->dirty_attributes.get().version;
}

CarriedAttributes::~CarriedAttributes() {
  if (!inode_) return;
  DirtyAttributes& dirty = *inode_->dirty_attributes;
  if (--dirty.requests == 0) dirty.answered.wake_all();
}

void CarriedAttributes::arrived(const Attributes& now) {
  if (!inode_) return;
  DirtyAttributes& dirty = *inode_->dirty_attributes;
  dirty.before = now;
  if (!are_latest()) return;
  // A WRITE that began before the mtime was set moves it again.
  const bool moves = inode_->io->is_under_way(dirty.after_write);
  dirty.unsent.valid &= moves ? std::uint32_t{proto::kSetMtime} : 0;
}

}  // namespace foliofs::vfs
