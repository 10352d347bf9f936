#include "attribute_cache.h"

#include <sys/stat.h>

#include "mount_core.h"

namespace foliofs::vfs {

Task<bool> AttributeCache::take(InodeRef inode, Attributes attributes, std::uint64_t asked_at) {
  const bool old = overtaken(attributes, inode->attributes);
  const std::uint64_t end = inode->mapping ? inode->mapping->size() : 0;
  if (!old) core_.leases.take(*inode, attributes, asked_at);
  if (!old && inode->changed_at <= asked_at) {
    inode->attributes = attributes;
    inode->absent_xattrs.take_flags(attributes);
    take_size(*inode, attributes.size);
  } else if (is_later(attributes, inode->attributes)) {
    inode->attributes = attributes;  // not to be believed, but nothing newer is known
  }
  // The kernel has filled the page in which it knew the end, with zeros behind that.
  const bool grown = inode->cached_as_of && inode->mapping && inode->mapping->size() > end;
  bool changed = false;
  if (inode->mapping) {
    // The reply to a change by this client may already have told of changes by others.
    const Attributes& newest = old ? inode->attributes : attributes;
    changed = inode->cached_as_of && changed_by_others(*inode->cached_as_of, newest);
    const bool first = !inode->cached_as_of;
    const bool latest = !old && inode->changed_at <= asked_at;
    if (first || changed || latest) *inode->cached_as_of = newest;
    // The time that programs were shown is not the file's any more.
    if (changed && !inode->dirty()) inode->mtime_shown = false;
    // A change by this client has overtaken the answer, and with it the size that it brought.
    if ((first || changed) && !latest) inode->size_unknown = true;
  }
  if (changed || grown) {
    ++inode->revalidating;
    if (changed) {
      // What is dirty here is written first; it may stay dirty, and then it is still ours (EBUSY).
      co_await inode->mapping->invalidate(core_.request_for(cache::InvalidateReason::kRevalidate));
    } else {
      co_await core_.notifications.drop_pages(inode, {end, ByteRange::kNoEnd});
    }
    --inode->revalidating;
    inode->revalidated.wake_all();
  }
  co_await wait_until_valid(inode);
  const bool latest = !old && inode->changed_at <= asked_at;
  inode->attributes_expire = latest ? believed_until(*inode, asked_at) : TimePoint{};
  co_return changed || grown;
}

void AttributeCache::take_size(Inode& inode, std::uint64_t size) {
  inode.size_unknown = inode.mapping && !inode.mapping->set_server_size(size);
}

Task<void> AttributeCache::learn_size(InodeRef inode) {
  wire::GetAttrRequestT request;
  request.caller = std::make_unique<wire::CallerT>();
  std::uint64_t size = 0;
  for (int query = 0; query < MountCore::kMaxQueries && inode->size_unknown; ++query) {
    const std::uint64_t asked_at = core_.logical_time;
    auto reply = co_await core_.call_on<wire::GetAttrRequest>(inode, &wire::GetAttrRequestT::handle,
                                                              request);
    if (!reply || !reply.value().attributes) co_return;
    // Another call has learnt the size meanwhile, perhaps from a later answer.
    if (!inode->size_unknown) co_return;
    const Attributes said = from_wire(*reply.value().attributes);
    size = said.size;
    if (inode->changed_at > asked_at || overtaken(said, inode->attributes)) continue;
    take_size(*inode, size);
  }
  // A busy writer here overtakes every answer. If an answer says that the file is longer, the bytes
  // are there to be asked for.
  if (inode->size_unknown && size > inode->mapping->size()) inode->mapping->set_server_size(size);
}

Task<void> AttributeCache::wait_until_valid(InodeRef inode) {
  while (inode->revalidating != 0) co_await inode->revalidated.wait();
}

void AttributeCache::take_own_change(Inode& inode, const Attributes& now, std::uint64_t asked_at) {
  const bool latest = inode.changed_at <= asked_at;
  changed(inode);
  // Of this client's WRITEs, the one answered last need not be the one that reaches furthest. But
  // if others have changed the file too, they may have made it shorter.
  const bool only_ours = version_of(now) == version_of(inode.attributes);
  const std::uint64_t size = only_ours ? std::max(inode.attributes.size, now.size) : 0;
  if (overtaken(now, inode.attributes)) {
    // Others have changed the file since, and another answer has told of that. Taking over this
    // older change may have undone that here, so the server must be asked again.
    inode.attributes_expire = {};
    if (inode.mapping) inode.size_unknown = true;
  } else if (now.ctime_ns >= inode.attributes.ctime_ns) {
    inode.attributes = now;
    inode.attributes_expire = believed_until(inode, asked_at);
    if (latest && inode.size_unknown) take_size(inode, now.size);
  } else {
    // The later change was answered first, or the server's clock was set back.
    inode.attributes_expire =
        std::min(inode.attributes_expire, core_.clock.now() + core_.options.actimeo_us);
  }
  if (inode.attributes.is_regular() && only_ours) inode.attributes.size = size;
  auto& cached = inode.cached_as_of;
  const bool ours = cached && version_of(*cached) == version_of(now);
  if (ours && now.ctime_ns >= cached->ctime_ns) *cached = now;
  // When the server counts somebody else's change as well, the next look must find it.
  if (cached && !ours) inode.attributes_expire = {};
}

void AttributeCache::directory_changed(Inode& directory, const wire::Attributes* after,
                                       std::uint64_t asked_at) {
  // Another change by this client was answered meanwhile. Only a later ctime says that this one
  // came last.
  const bool overlapped = directory.changed_at > asked_at;
  forget(directory);
  if (after == nullptr) {
    directory.lease.forget_names();  // the change may have been done all the same
    return;
  }
  const Attributes now = from_wire(*after);
  core_.leases.take(directory, now, asked_at);
  if (overtaken(now, directory.attributes)) return;
  if (overlapped && now.ctime_ns <= directory.attributes.ctime_ns) return;
  directory.attributes = now;
  directory.attributes_expire = believed_until(directory, asked_at);
}

void AttributeCache::directory_seen(Inode& directory, const wire::Attributes* before,
                                    std::uint64_t asked_at) {
  if (before == nullptr) return;
  const Attributes now = from_wire(*before);
  if (overtaken(now, directory.attributes)) return;
  core_.leases.take(directory, now, asked_at);
  if (directory.changed_at > asked_at) return;
  directory.attributes = now;
  directory.attributes_expire = believed_until(directory, asked_at);
}

TimePoint AttributeCache::believed_until(const Inode& inode, std::uint64_t asked_at) const {
  // While a lease is being returned, what the server says may be from before the change.
  const bool returning = inode.lease.returning != 0;
  if (returning || core_.leases.is_recalled(inode, asked_at) || Leases::is_outdated(inode))
    return {};
  if (core_.leases.holds(inode)) return kWhileLeased;
  // Through a directory that was opened under a lease the kernel keeps listings. At each rewind it
  // goes by the directory's mtime, which it must then learn from the server.
  if (inode.lease.listing_streams != 0) return {};
  return core_.clock.now() + core_.options.actimeo_us;
}

void AttributeCache::changed(Inode& inode) {
  inode.changed_at = ++core_.logical_time;
  core_.idle_opens.close(inode);
}

void AttributeCache::forget(Inode& inode) {
  changed(inode);
  inode.attributes_expire = {};
}

void AttributeCache::changed_in_part(const InodeRef& inode) {
  forget(*inode);
  // Bytes that are still to be written determine where the file ends.
  if (inode->mapping && !inode->dirty()) inode->size_unknown = true;
  if (!core_.stopping)
    core_.spawn_unawaited("expire attributes", core_.notifications.expire_attributes({inode}));
}

void AttributeCache::stored(const OpenFile& file, const Store& store, std::uint64_t offset) {
  Inode& inode = *file.inode;
  // After a write(2) the kernel knows that the file goes so far, and its pages may be newer there.
  if (store.source == cache::WriteSource::kSystemCall) {
    inode.kernel.reaches(store.offset + store.data.size());
    inode.kernel.ignores_before = ++core_.logical_time;
  }
  inode.local_mtime_ns = core_.clock.wall_ns();
  inode.mtime_shown = false;
  AttributeWriteback::stored(inode);
  inode.io->prefer(file.server_open);
  // The server will take the set-id bits away when the bytes arrive there.
  if (file.server_open->opener.uid != 0 || inode.kill_privileges) drop_set_id_bits(inode);
  if (offset != store.offset && file.kernel_caches) {
    // O_APPEND was set after the open: the kernel has the bytes in its pages where it thought the
    // end was.
    core_.spawn("moved append", core_.notifications.drop_pages(file.inode, ByteRange::all()));
  }
}

// As relatime does (mount(8)).
void AttributeCache::note_access(Inode& inode) const {
  constexpr std::int64_t kDayNs = 86'400'000'000'000;
  const Attributes& known = inode.attributes;
  const bool recent = core_.clock.wall_ns() - known.atime_ns < kDayNs;
  if (recent && known.atime_ns > std::max(known.mtime_ns, known.ctime_ns)) return;
  inode.attributes_expire =
      std::min(inode.attributes_expire, core_.clock.now() + core_.options.actimeo_us);
}

bool AttributeCache::are_believed(const Inode& inode) const {
  if (inode.attributes_expire == kWhileLeased) return core_.leases.holds(inode);
  return inode.attributes_expire > core_.clock.now();
}

Attributes AttributeCache::shown(Inode& inode, std::uint64_t asked_at) {
  core_.forgetting.used(inode);
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
    inode.kernel.ignores_before = ++core_.logical_time;
  }
  inode.kernel.believes = inode.kernel.believes || core_.leases.holds(inode);
  return shown;
}

Duration AttributeCache::timeout(const Inode& inode) const {
  // The times of what is not written yet are not final.
  if (inode.dirty() || inode.mtime_shown || inode.revalidating != 0) return Duration::zero();
  if (AttributeWriteback::is_dirty(inode)) return Duration::zero();
  if (may_lose_set_id_bits(inode) || core_.notifications.has_unstable_size(inode))
    return Duration::zero();
  if (!are_known(inode)) return Duration::zero();
  if (inode.attributes_expire == kWhileLeased) return Leases::kBelieved;
  return inode.attributes_expire - core_.clock.now();
}

bool AttributeCache::may_lose_set_id_bits(const Inode& inode) {
  const bool has_bits = (inode.attributes.mode & (S_ISUID | S_ISGID)) != 0;
  return has_bits && inode.io && inode.io->has_writable_open();
}

void drop_set_id_bits(Inode& inode) {
  std::uint32_t& mode = inode.attributes.mode;
  if ((mode & S_IXGRP) != 0) mode &= ~static_cast<std::uint32_t>(S_ISGID);
  mode &= ~static_cast<std::uint32_t>(S_ISUID);
}

}  // namespace foliofs::vfs
