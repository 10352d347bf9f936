// NameCache: reading directories, and what listings and leases say of names.
#include "mount_core.h"
#include "name_cache.h"

namespace foliofs::vfs {

namespace {

// The size of a reply: some two hundred entries with attributes.
constexpr std::uint32_t kReplyBytes = 64 << 10;

}  // namespace

Task<Result<DirectoryEntries>> NameCache::read_directory(Call call, InodeRef directory,
                                                         std::uint64_t cookie,
                                                         bool with_attributes) {
  wire::ReadDirRequestT request;
  request.caller = caller_of(call);
  request.cookie = cookie;
  request.max_bytes = kReplyBytes;
  request.with_attributes = with_attributes && !core_.forgetting.exhausted();
  const TimePoint now = core_.clock.now();
  const std::uint64_t asked_at = core_.logical_time;
  auto reply = co_await core_.call_on<wire::ReadDirRequest>(
      directory, &wire::ReadDirRequestT::handle, request);
  if (!reply) co_return reply.error();
  DirectoryEntries read;
  read.end = reply.value().end;
  core_.attributes.directory_seen(*directory, reply.value().directory.get(), asked_at);
  const std::uint64_t lease = directory->lease.number;
  const std::uint64_t forgotten = directory->lease.names_forgotten;
  bool all_entered = true;
  for (auto& wire : reply.value().entries) {
    DirectoryEntry entry;
    entry.name = std::move(wire->name);
    entry.cookie = wire->cookie;
    entry.ino = wire->ino;
    entry.type = wire->type;
    entry.asked = now;
    entry.asked_at = asked_at;
    if (wire->attributes && !wire->handle.empty()) {
      InodeRef entered = co_await enter(directory, entry.name, wire->handle,
                                        from_wire(*wire->attributes), asked_at);
      if (directory->changed_at <= asked_at) {
        core_.leases.name_seen(*entered, *directory, reply.value().directory.get(), asked_at);
      }
      entered->listed = {name_key(directory->node, entry.name), now, asked_at};
      // If a file has several names, only the one seen last is known.
      const auto links = std::max(entered->attributes.nlink, wire->attributes->nlink());
      if (!entered->attributes.is_directory() && links > 1) all_entered = false;
      entry.entry.emplace();
      entry.entry->node = entered->node;
    } else if (entry.name != "." && entry.name != "..") {
      all_entered = false;
    }
    read.entries.push_back(std::move(entry));
  }
  if (all_entered && forgotten == directory->lease.names_forgotten) {
    const std::uint64_t last = read.entries.empty() ? cookie : read.entries.back().cookie;
    core_.leases.names_listed(*directory, reply.value().directory.get(), lease, asked_at,
                              {.from = cookie, .to = last, .end = read.end});
  }
  co_return read;
}

std::optional<Entry> NameCache::leased(const Inode& parent, const std::string& name,
                                       std::uint64_t asked_at) {
  InodeRef inode = core_.inodes.find_by_name(parent.node, name);
  if (!inode && core_.leases.knows_all_names(parent)) {
    Entry none;
    none.name_timeout_us = core_.leases.absence_known(parent, name);
    return none;
  }
  if (!inode || !core_.leases.covers_name(*inode, parent)) return std::nullopt;
  if (core_.attributes.timeout(*inode) == Duration::zero()) return std::nullopt;
  ++inode->lookups;
  return entry_of(*inode, parent.node, name, asked_at);
}

Entry NameCache::absent(const Inode& parent, const std::string& name, const wire::Attributes* said,
                        std::uint64_t asked_at) {
  Entry none;
  if (core_.leases.are_given())
    none.name_timeout_us = core_.leases.absence_seen(parent, name, said, asked_at);
  return none;
}

std::optional<Entry> NameCache::listed(const Inode& parent, const std::string& name,
                                       std::uint64_t asked_at) {
  InodeRef inode = core_.inodes.find_by_name(parent.node, name);
  if (!inode || inode->listed.name != name_key(parent.node, name)) return std::nullopt;
  const Duration age = core_.clock.now() - inode->listed.at;
  const std::uint64_t listed_at = inode->listed.asked_at;
  if (age >= core_.options.actimeo_us || parent.changed_at > listed_at) return std::nullopt;
  if (core_.leases.is_recalled(parent, listed_at)) return std::nullopt;
  if (core_.attributes.timeout(*inode) == Duration::zero()) return std::nullopt;
  ++inode->lookups;
  return entry_of(*inode, parent.node, name, asked_at, age);
}

bool NameCache::is_worth_listing(Inode& parent, const std::string& name) {
  NameLookups& lookups = *parent.name_lookups;
  if (core_.forgetting.exhausted()) return false;
  // Nothing would be kept for a file that the kernel does not know.
  const InodeRef known = core_.inodes.find_by_name(parent.node, name);
  if (lookups.listing_is_useless || lookups.listing || !known || known->lookups == 0) return false;
  const TimePoint now = core_.clock.now();
  if (lookups.changed_at != parent.changed_at || now - lookups.since >= core_.options.actimeo_us) {
    lookups.changed_at = parent.changed_at;
    lookups.since = now;
    lookups.count = 0;
  }
  return ++lookups.count > 1 && core_.options.actimeo_us > Duration::zero();
}

Task<void> NameCache::list(Call call, InodeRef parent) {
  parent->name_lookups->listing = true;
  auto read = co_await read_directory(std::move(call), parent, 0, /*with_attributes=*/true);
  parent->name_lookups->listing = false;
  // A long directory would have to be read as a whole for each of its names. A directory that may
  // not be read can still be searched.
  parent->name_lookups->listing_is_useless = !read || !read.value().end;
  if (!read) co_return;
  for (const auto& entry : read.value().entries) {
    if (entry.entry) core_.forget(entry.entry->node, 1);
  }
}

}  // namespace foliofs::vfs
