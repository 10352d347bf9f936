// Names that are known without asking. Under a lease of their directory (leases.h) they stand until
// it goes. Others that a listing has shown: for as long as attributes may be believed, a lookup of
// one is answered from memory. When the kernel asks again for one name of a directory after
// another, as for programs that go through a tree, one listing takes the place of all those
// lookups.
//
// Without a lease nothing is taken for absent: whoever opens a file after another client has closed
// it must find it.
#include "mount_core.h"

namespace foliofs::vfs {

std::optional<Entry> MountCore::leased_entry(const Inode& parent, const std::string& name,
                                             std::uint64_t asked_at) {
  InodeRef inode = inodes.find_by_name(parent.node, name);
  if (!inode && leases.knows_all_names(parent)) {
    Entry none;
    none.name_timeout_us = leases.absence_known(parent, name);
    return none;
  }
  if (!inode || !leases.covers_name(*inode, parent)) return std::nullopt;
  if (attribute_timeout(*inode) == Duration::zero()) return std::nullopt;
  ++inode->lookups;
  return entry_of(*inode, parent.node, name, asked_at);
}

Entry MountCore::absent_entry(const Inode& parent, const std::string& name,
                              const wire::Attributes* said, std::uint64_t asked_at) {
  Entry none;
  if (leases.are_given()) none.name_timeout_us = leases.absence_seen(parent, name, said, asked_at);
  return none;
}

std::optional<Entry> MountCore::listed_entry(const Inode& parent, const std::string& name,
                                             std::uint64_t asked_at) {
  InodeRef inode = inodes.find_by_name(parent.node, name);
  if (!inode || inode->listed.name != name_key(parent.node, name)) return std::nullopt;
  const Duration age = clock.now() - inode->listed.at;
  const std::uint64_t listed_at = inode->listed.asked_at;
  if (age >= options.actimeo_us || parent.changed_at > listed_at) return std::nullopt;
  if (leases.is_recalled(parent, listed_at)) return std::nullopt;
  if (attribute_timeout(*inode) == Duration::zero()) return std::nullopt;
  ++inode->lookups;
  return entry_of(*inode, parent.node, name, asked_at, age);
}

bool MountCore::is_worth_listing(Inode& parent, const std::string& name) {
  NameLookups& lookups = *parent.name_lookups;
  if (forgetting.exhausted()) return false;
  // Nothing would be kept of a file that the kernel does not know.
  const InodeRef known = inodes.find_by_name(parent.node, name);
  if (lookups.listing_is_useless || lookups.listing || !known || known->lookups == 0) return false;
  const TimePoint now = clock.now();
  if (lookups.changed_at != parent.changed_at || now - lookups.since >= options.actimeo_us) {
    lookups.changed_at = parent.changed_at;
    lookups.since = now;
    lookups.count = 0;
  }
  return ++lookups.count > 1 && options.actimeo_us > Duration::zero();
}

Task<void> MountCore::list_names(Call call, InodeRef parent) {
  parent->name_lookups->listing = true;
  auto read = co_await read_directory(std::move(call), parent, 0, /*with_attributes=*/true);
  parent->name_lookups->listing = false;
  // A long directory would have to be read as a whole for each of its names; one that may not be
  // read can be searched all the same.
  parent->name_lookups->listing_is_useless = !read || !read.value().end;
  if (!read) co_return;
  for (const auto& entry : read.value().entries) {
    if (entry.entry) forget(entry.entry->node, 1);
  }
}

}  // namespace foliofs::vfs
