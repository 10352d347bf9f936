#include "mount_core.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <bit>

namespace foliofs::vfs {

namespace {

bool changes_files(proto::MessageType type) {
  using enum proto::MessageType;
  constexpr std::array kReads{kPing,     kLookup,     kReadlink, kReadDir,   kGetAttr,     kStatFs,
                              kOpen,     kClose,      kRead,     kCommit,    kSeek,        kLock,
                              kTestLock, kCancelLock, kGetXattr, kListXattr, kReturnLeases};
  return std::find(kReads.begin(), kReads.end(), type) == kReads.end();
}

}  // namespace

std::size_t name_key(NodeId parent, std::string_view name) {
  return std::hash<std::string_view>()(name) ^ (parent * 0x9e3779b97f4a7c15u);
}

wire::CallerT to_wire(const Caller& caller) {
  wire::CallerT wire;
  wire.uid = caller.uid;
  wire.gid = caller.gid;
  wire.groups = caller.groups;
  return wire;
}

wire::SetAttrRequestT to_wire(const AttributeChange& change) {
  wire::SetAttrRequestT request;
  request.valid = change.valid;
  request.mode = change.mode;
  request.uid = change.uid;
  request.gid = change.gid;
  request.size = change.size;
  request.atime_ns = change.atime_ns;
  request.mtime_ns = change.mtime_ns;
  return request;
}

std::unique_ptr<wire::CallerT> caller_of(const Call& call) {
  return std::make_unique<wire::CallerT>(to_wire(call.caller));
}

Status check_name(std::string_view name) {
  return proto::check_name(name);
}

MountCore::MountCore(Executor on, Clock& time, rpc::Session& to, Kernel& above, MountOptions with,
                     FaultPoints* faults)
    : executor(std::move(on)),
      clock(time),
      session(to),
      kernel(above),
      options(std::move(with)),
      cache(executor, clock, options.cache, faults) {
  // The root is the first inode, and so gets kRootNode.
  InodeRef root = inodes.find_or_create(session.hello().root);
  root->lookups = 1;
  if (session.hello().root_attributes) {
    root->attributes = from_wire(*session.hello().root_attributes);
  }
  rpc::SessionEvents events;
  events.lock_granted = [this](std::uint64_t waiter) {
    lock_waits.granted(waiter);
  };
  events.leases_recalled = [this](wire::LeasesRecalledT lost) {
    leases.recalled(std::move(lost));
  };
  events.opens_wanted = [this] {
    idle_opens.close_all();
  };
  events.answered_late = [this](proto::MessageType type, const Result<rpc::RawReply>& reply) {
    if (reply) close_unclaimed(type, reply.value());
    // What was asked since may have been answered before it was done, and it ends no lease of ours.
    if (changes_files(type)) leases.lose_all_and_say_so();
  };
  events.out_of_touch = [this] {
    leases.lose_all_and_say_so();
  };
  events.connection_lost = [this] {
    lock_waits.connection_lost();
    leases.lose_all_and_say_so();
  };
  events.session_renewed = [this] {
    lock_waits.session_renewed();
  };
  session.set_events(std::move(events));
}

MountCore::~MountCore() {
  session.set_events({});
}

void MountCore::spawn(std::string_view name, Task<void> task) {
  // Counted from now on: the mount could end before it begins.
  auto run = [](std::unique_ptr<BackgroundTask> counted, Task<void> all_of_it) -> Task<void> {
    co_await std::move(all_of_it);
    counted.reset();
  };
  foliofs::spawn(executor, name, run(std::make_unique<BackgroundTask>(*this), std::move(task)));
}

void MountCore::spawn_unawaited(std::string_view name, Task<void> task) {
  auto run = [](std::weak_ptr<MountCore*> mount, Task<void> all_of_it) -> Task<void> {
    if (mount.expired()) co_return;
    co_await std::move(all_of_it);
  };
  foliofs::spawn(executor, name, run(self, std::move(task)));
}

Task<Result<wire::EntryReplyT>> MountCore::ask_name(wire::CallerT caller, InodeRef parent,
                                                    std::string name, bool tell_absence) {
  wire::LookupRequestT request;
  request.tell_absence = tell_absence;
  request.caller = std::make_unique<wire::CallerT>(std::move(caller));
  request.name = std::move(name);
  co_return co_await call_on<wire::LookupRequest>(parent, &wire::LookupRequestT::parent,
                                                  std::move(request));
}

Task<Result<bool>> MountCore::find_again(InodeRef inode, wire::CallerT caller) {
  const HandleBytes dead = inode->handle;
  if (inode->node == kRootNode) {
    if (session.hello().root == dead) co_return Errno(ESTALE);
    inodes.change_handle(*inode, session.hello().root);
    co_return true;
  }
  InodeRef parent = inodes.find(inode->parent);
  if (!parent || inode->name.empty()) co_return false;
  auto reply = co_await ask_name(std::move(caller), parent, inode->name);
  if (inode->handle != dead) co_return true;
  if (!reply && reply.error() == Errno(ENOENT)) co_return false;
  if (!reply) co_return reply.error();
  if (!reply.value().attributes || reply.value().handle.empty()) co_return Errno(EPROTO);
  if (!same_file(from_wire(*reply.value().attributes), inode->attributes)) co_return false;
  if (reply.value().handle == dead) co_return Errno(ESTALE);
  inodes.change_handle(*inode, reply.value().handle);
  inode->handle_incarnation = session.incarnation();
  co_return true;
}

Task<InodeRef> MountCore::inode_for(InodeRef parent, std::string name, HandleBytes handle,
                                    Attributes attributes) {
  InodeRef inode = inodes.find_by_handle(handle);
  InodeRef known = inode ? nullptr : inodes.find_by_name(parent->node, name);
  if (known && same_file(known->attributes, attributes)) {
    // In one session a file has one handle, unless the server has had to forget the first.
    bool lost = known->handle_incarnation != session.incarnation();
    if (!lost) {
      wire::GetAttrRequestT request;
      request.caller = std::make_unique<wire::CallerT>();
      request.handle = known->handle;
      auto reply = co_await call<wire::GetAttrRequest>(request);
      lost = !reply && reply.error() == Errno(ESTALE);
      inode = inodes.find_by_handle(handle);
    }
    if (lost && !inode && inodes.find(known->node)) {
      inodes.change_handle(*known, handle);
      inode = known;
    }
  }
  if (!inode) inode = inodes.find_or_create(handle);
  inode->handle_incarnation = session.incarnation();
  const bool by_another_name = inode->lookups > 0 && !inode->name.empty() &&
                               (inode->parent != parent->node || inode->name != name);
  if (by_another_name) leases.name_superseded(*inode);
  inodes.change_name(*inode, parent->node, name);
  if (by_another_name && version_of(attributes) != inode->named_version) {
    // The kernel may remember it by the other one too, which may be another file's by now.
    inode->named_links = std::max(attributes.nlink, 2u);
  } else {
    inode->named_version = version_of(attributes);
    inode->named_links = attributes.nlink;
  }
  co_return inode;
}

Task<bool> MountCore::still_has_name(Call call, InodeRef inode, Attributes now,
                                     bool just_looked_up) {
  // Whoever moves a file changes its ctime, so it is another version then.
  const bool touched = now.nlink == 0 || version_of(now) != inode->named_version;
  InodeRef parent = inodes.find(inode->parent);
  if (!touched || inode->name.empty() || !parent) co_return true;
  inode->named_version = version_of(now);
  const std::uint32_t links = std::max(std::exchange(inode->named_links, now.nlink), now.nlink);
  // By which of several names the kernel has come nobody says.
  if (now.nlink != 0 && links > 1) co_return just_looked_up;
  bool same = false;
  if (now.nlink == 1) {
    auto reply = co_await ask_name(to_wire(call.caller), parent, inode->name);
    same = !reply && reply.error() != Errno(ENOENT);
    if (reply && reply.value().attributes) {
      same = same_file(from_wire(*reply.value().attributes), inode->attributes);
    }
  }
  if (!same) inodes.change_name(*inode, 0, "");
  co_return same;
}

Task<InodeRef> MountCore::enter(InodeRef parent, std::string name, HandleBytes handle,
                                Attributes attributes, std::uint64_t asked_at) {
  InodeRef inode = co_await inode_for(parent, name, handle, attributes);
  ++inode->lookups;
  forgetting.memory_changed();
  (void)co_await take_attributes(inode, attributes, asked_at);
  co_await tell_no_end(inode);
  co_return inode;
}

Entry MountCore::entry_of(Inode& inode, NodeId parent, std::string_view name,
                          std::uint64_t asked_at, Duration age) {
  Entry entry;
  entry.node = inode.node;
  entry.attributes = shown_attributes(inode, asked_at);
  const bool owner_known = inode.kernel.knows_owner_and_mode(entry.attributes);
  const InodeRef directory = inodes.find(parent);
  // Of other names of the file nothing is remembered, so the kernel could not be told of them.
  const bool sole_name = inode.attributes.is_directory() || inode.attributes.nlink <= 1;
  // Nor of attributes that others may change without a recall, and Linux goes by the owner that it
  // was told last wherever it believes the name (setattr_prepare(), may_delete()).
  const bool covered = directory && sole_name && inode.name == name && owner_known &&
                       leases.covers_name(inode, *directory) && leases.holds(inode);
  const Duration recent =
      owner_known ? std::max(Duration::zero(), options.actimeo_us - age) : Duration::zero();
  entry.name_timeout_us = covered ? Leases::kBelieved : recent;
  entry.attribute_timeout_us = attribute_timeout(inode);
  inode.kernel.believes = inode.kernel.believes || covered;
  inode.kernel.believes_name = inode.kernel.believes_name || covered;
  inode.kernel.name = name_key(parent, name);
  inode.kernel.name_told = clock.now();
  inode.kernel.believed_until =
      clock.now() + std::min(entry.name_timeout_us, entry.attribute_timeout_us);
  return entry;
}

bool MountCore::knows_entry(Inode& inode, NodeId parent, std::string_view name) {
  const bool believes = inode.kernel.believed_until - clock.now() > options.actimeo_us / 2;
  if (!believes || inode.kernel.name != name_key(parent, name)) return false;
  const Attributes& now = inode.attributes;
  const bool written = !inode.dirty() && !AttributeWriteback::is_dirty(inode);
  return written && !inode.mtime_shown && now.size == inode.kernel.size &&
         now.mtime_ns == inode.kernel.mtime_ns && now.ctime_ns == inode.kernel.ctime_ns;
}

Task<bool> MountCore::take_attributes(InodeRef inode, Attributes attributes,
                                      std::uint64_t asked_at) {
  const bool old = overtaken(attributes, inode->attributes);
  const std::uint64_t end = inode->mapping ? inode->mapping->size() : 0;
  if (!old) leases.take(*inode, attributes, asked_at);
  if (!old && inode->changed_at <= asked_at) {
    inode->attributes = attributes;
    remember_flags(*inode, attributes);
    take_size(*inode, attributes.size);
  } else if (is_later(attributes, inode->attributes)) {
    inode->attributes = attributes;  // not to be believed, but nothing newer is known
  }
  // The kernel has filled the page in which it knew the end with zeros behind it.
  const bool grown = inode->cached_version && inode->mapping && inode->mapping->size() > end;
  bool changed = false;
  if (inode->mapping) {
    // The reply to a change of our own may have told of changes by others already.
    const Attributes& newest = old ? inode->attributes : attributes;
    changed = inode->cached_version && changed_by_others(*inode->cached_version, newest);
    const bool first = !inode->cached_version;
    const bool latest = !old && inode->changed_at <= asked_at;
    if (first || changed || latest) *inode->cached_version = newest;
    // The time that programs were shown is not the file's any more.
    if (changed && !inode->dirty()) inode->mtime_shown = false;
    // A change of our own has overtaken the answer, and with it the size that it brought.
    if ((first || changed) && !latest) inode->size_unknown = true;
  }
  if (changed || grown) {
    ++inode->revalidating;
    if (changed) {
      // What is dirty here is written first; it may stay dirty, and then it is still ours (EBUSY).
      co_await inode->mapping->invalidate(request_for(cache::InvalidateReason::kRevalidate));
    } else {
      co_await drop_pages(inode, {end, ByteRange::kNoEnd});
    }
    --inode->revalidating;
    inode->revalidated.wake_all();
  }
  co_await wait_until_valid(inode);
  const bool latest = !old && inode->changed_at <= asked_at;
  inode->attributes_expire = latest ? believed_until(*inode, asked_at) : TimePoint{};
  co_return changed || grown;
}

void MountCore::take_size(Inode& inode, std::uint64_t size) {
  inode.size_unknown = inode.mapping && !inode.mapping->set_server_size(size);
}

Task<void> MountCore::learn_size(InodeRef inode) {
  wire::GetAttrRequestT request;
  request.caller = std::make_unique<wire::CallerT>();
  std::uint64_t size = 0;
  for (int query = 0; query < kMaxQueries && inode->size_unknown; ++query) {
    const std::uint64_t asked_at = logical_time;
    auto reply =
        co_await call_on<wire::GetAttrRequest>(inode, &wire::GetAttrRequestT::handle, request);
    if (!reply || !reply.value().attributes) co_return;
    // Somebody else has learnt it meanwhile, perhaps later than this answer.
    if (!inode->size_unknown) co_return;
    const Attributes said = from_wire(*reply.value().attributes);
    size = said.size;
    if (inode->changed_at > asked_at || overtaken(said, inode->attributes)) continue;
    take_size(*inode, size);
  }
  // A busy writer here overtakes every answer. Where it says that the file is longer, the bytes are
  // there to be asked for.
  if (inode->size_unknown && size > inode->mapping->size()) inode->mapping->set_server_size(size);
}

Task<void> MountCore::wait_until_valid(InodeRef inode) {
  while (inode->revalidating != 0) co_await inode->revalidated.wait();
}

void MountCore::take_own_change(Inode& inode, const Attributes& now, std::uint64_t asked_at) {
  const bool latest = inode.changed_at <= asked_at;
  changed(inode);
  // Of our own WRITEs the one that was answered last need not be the one that reaches furthest.
  // Others may have made the file shorter.
  const bool only_ours = version_of(now) == version_of(inode.attributes);
  const std::uint64_t size = only_ours ? std::max(inode.attributes.size, now.size) : 0;
  if (overtaken(now, inode.attributes)) {
    // What others have done since, and another answer has told of, this change here takes back.
    inode.attributes_expire = {};
    if (inode.mapping) inode.size_unknown = true;
  } else if (now.ctime_ns >= inode.attributes.ctime_ns) {
    inode.attributes = now;
    inode.attributes_expire = believed_until(inode, asked_at);
    if (latest && inode.size_unknown) take_size(inode, now.size);
  } else {
    // The later change was answered first, or the server's clock was set back.
    inode.attributes_expire = std::min(inode.attributes_expire, clock.now() + options.actimeo_us);
  }
  if (inode.attributes.is_regular() && only_ours) inode.attributes.size = size;
  auto& cached = inode.cached_version;
  const bool ours = cached && version_of(*cached) == version_of(now);
  if (ours && now.ctime_ns >= cached->ctime_ns) *cached = now;
  // When the server counts somebody else's change too, the next look must find it.
  if (cached && !ours) inode.attributes_expire = {};
}

void MountCore::changed_in_part(const InodeRef& inode) {
  forget_attributes(*inode);
  // Bytes that are still to be written say themselves where the file ends.
  if (inode->mapping && !inode->dirty()) inode->size_unknown = true;
  if (!stopping) spawn_unawaited("expire attributes", expire_attributes({inode}));
}

void MountCore::directory_changed(Inode& directory, const wire::Attributes* after,
                                  std::uint64_t asked_at) {
  // Another change of ours was answered meanwhile: only a later ctime says which came last.
  const bool overlapped = directory.changed_at > asked_at;
  forget_attributes(directory);
  if (after == nullptr) {
    directory.lease.forget_names();  // it may have been done all the same
    return;
  }
  const Attributes now = from_wire(*after);
  leases.take(directory, now, asked_at);
  if (overtaken(now, directory.attributes)) return;
  if (overlapped && now.ctime_ns <= directory.attributes.ctime_ns) return;
  directory.attributes = now;
  directory.attributes_expire = believed_until(directory, asked_at);
}

void MountCore::directory_seen(Inode& directory, const wire::Attributes* before,
                               std::uint64_t asked_at) {
  if (before == nullptr) return;
  const Attributes now = from_wire(*before);
  if (overtaken(now, directory.attributes)) return;
  leases.take(directory, now, asked_at);
  if (directory.changed_at > asked_at) return;
  directory.attributes = now;
  directory.attributes_expire = believed_until(directory, asked_at);
}

TimePoint MountCore::believed_until(const Inode& inode, std::uint64_t asked_at) const {
  // What is said while a lease is on its way back may be from before the change.
  const bool returning = inode.lease.returning != 0;
  if (returning || leases.is_recalled(inode, asked_at) || Leases::is_outdated(inode)) return {};
  return leases.holds(inode) ? kWhileLeased : clock.now() + options.actimeo_us;
}

// As relatime has it (mount(8)).
void MountCore::note_access(Inode& inode) const {
  constexpr std::int64_t kDayNs = 86'400'000'000'000;
  const Attributes& known = inode.attributes;
  const bool recent = clock.wall_ns() - known.atime_ns < kDayNs;
  if (recent && known.atime_ns > std::max(known.mtime_ns, known.ctime_ns)) return;
  inode.attributes_expire = std::min(inode.attributes_expire, clock.now() + options.actimeo_us);
}

Attributes MountCore::shown_attributes(Inode& inode, std::uint64_t asked_at) {
  forgetting.used(inode);
  Attributes shown = inode.attributes;
  if (inode.mapping) {
    shown.size = inode.mapping->size();
    if (inode.dirty()) shown.blocks += (inode.mapping->dirty_bytes() + 511) / 512;
    if (inode.dirty() || inode.mtime_shown) {
      shown.mtime_ns = inode.local_mtime_ns;
      const bool stored = !inode.dirty_attributes.get().mtime_is_set;
      if (stored) shown.ctime_ns = std::max(shown.ctime_ns, inode.local_mtime_ns);
    }
  }
  AttributeWriteback::show(inode, shown);
  if (!inode.kernel.ignores(asked_at)) {
    inode.kernel.takes(shown, version_of(inode.attributes));
    inode.kernel.ignores_before = ++logical_time;
  }
  inode.kernel.believes = inode.kernel.believes || leases.holds(inode);
  return shown;
}

Duration MountCore::attribute_timeout(const Inode& inode) const {
  // The times of what is not written yet are not final.
  if (inode.dirty() || inode.mtime_shown || inode.revalidating != 0) return Duration::zero();
  if (AttributeWriteback::is_dirty(inode)) return Duration::zero();
  if (may_lose_set_id_bits(inode) || has_unstable_size(inode)) return Duration::zero();
  if (!known_now(inode)) return Duration::zero();
  if (inode.attributes_expire == kWhileLeased) return Leases::kBelieved;
  return inode.attributes_expire - clock.now();
}

void MountCore::note_store(const OpenFile& file, const Store& store, std::uint64_t offset) {
  Inode& inode = *file.inode;
  // After a write(2) the kernel knows that the file goes so far, and its pages may be newer there.
  if (store.source == cache::WriteSource::kSystemCall) {
    inode.kernel.reaches(store.offset + store.data.size());
    inode.kernel.ignores_before = ++logical_time;
  }
  inode.local_mtime_ns = clock.wall_ns();
  inode.mtime_shown = false;
  AttributeWriteback::stored(inode);
  inode.io->prefer(file.server_open);
  // The server will take the set-id bits away when the bytes arrive there.
  if (file.server_open->opener.uid != 0 || inode.kill_privileges) drop_set_id_bits(inode);
  if (offset != store.offset && file.kernel_caches) {
    // O_APPEND was set after the open: the kernel has the bytes in its pages where it thought the
    // end was.
    spawn("moved append", drop_pages(file.inode, ByteRange::all()));
  }
}

void MountCore::passed_size(std::uint64_t size) {
  constexpr std::uint64_t kBelowPowerOfTwo = 1 << 20;
  if (size <= tested_size) return;
  tested_size = std::max(size, std::bit_ceil(size) - kBelowPowerOfTwo);
}

bool MountCore::has_unstable_size(const Inode& inode) const {
  const KernelView& told = inode.kernel;
  const bool growing = told.uncached_growth != 0;
  if (told.cached_opens == 0) return false;
  if (!growing && clock.now() >= told.size_unstable_until) return false;
  const std::uint64_t size = inode.mapping->size();
  const bool only_ours = version_of(inode.attributes) == told.version;
  const bool known_end = size == told.size || (growing && only_ours && size > told.size);
  return known_end && told.knows_owner_and_mode(inode.attributes);
}

bool MountCore::may_lose_set_id_bits(const Inode& inode) const {
  const bool has_bits = (inode.attributes.mode & (S_ISUID | S_ISGID)) != 0;
  return has_bits && inode.io && inode.io->has_writable_open();
}

void drop_set_id_bits(Inode& inode) {
  std::uint32_t& mode = inode.attributes.mode;
  if ((mode & S_IXGRP) != 0) mode &= ~static_cast<std::uint32_t>(S_ISGID);
  mode &= ~static_cast<std::uint32_t>(S_ISUID);
}

Task<void> MountCore::settle_mtime(InodeRef inode) {
  if (!inode->mtime_shown || inode->dirty()) co_return;
  if (inode->attributes.mtime_ns != inode->local_mtime_ns) {
    auto status = co_await inode->io->set_mtime(inode->local_mtime_ns);
    if (!status) spdlog::debug("set mtime: {}", errno_name(status.error()));
  }
  if (!inode->dirty()) inode->mtime_shown = false;
}

Task<Status> MountCore::write_back(InodeRef inode) {
  if (!inode->dirty()) co_return success();
  auto report = co_await inode->mapping->flush(request_for(cache::InvalidateReason::kClose));
  if (!report.error) co_return success();
  spdlog::debug("{}: write back: {}", inode->name, errno_name(*report.error));
  co_return *report.error;
}

}  // namespace foliofs::vfs
