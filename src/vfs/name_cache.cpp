#include "name_cache.h"

#include "mount_core.h"

namespace foliofs::vfs {

std::size_t name_key(NodeId parent, std::string_view name) {
  return std::hash<std::string_view>()(name) ^ (parent * 0x9e3779b97f4a7c15u);
}

Task<Result<wire::EntryReplyT>> NameCache::ask(wire::CallerT caller, InodeRef parent,
                                               std::string name, bool tell_absence) {
  wire::LookupRequestT request;
  request.tell_absence = tell_absence;
  request.caller = std::make_unique<wire::CallerT>(std::move(caller));
  request.name = std::move(name);
  co_return co_await core_.call_on<wire::LookupRequest>(parent, &wire::LookupRequestT::parent,
                                                        std::move(request));
}

Task<Result<bool>> NameCache::find_again(InodeRef inode, wire::CallerT caller) {
  const HandleBytes dead = inode->handle;
  if (inode->node == kRootNode) {
    if (core_.session.hello().root == dead) co_return Errno(ESTALE);
    core_.inodes.change_handle(*inode, core_.session.hello().root);
    co_return true;
  }
  InodeRef parent = core_.inodes.find(inode->parent);
  if (!parent || inode->name.empty()) co_return false;
  auto reply = co_await ask(std::move(caller), parent, inode->name);
  if (inode->handle != dead) co_return true;
  if (!reply && reply.error() == Errno(ENOENT)) co_return false;
  if (!reply) co_return reply.error();
  if (!reply.value().attributes || reply.value().handle.empty()) co_return Errno(EPROTO);
  if (!same_file(from_wire(*reply.value().attributes), inode->attributes)) co_return false;
  if (reply.value().handle == dead) co_return Errno(ESTALE);
  core_.inodes.change_handle(*inode, reply.value().handle);
  inode->handle_incarnation = core_.session.incarnation();
  co_return true;
}

Task<bool> NameCache::is_still(Call call, InodeRef inode, Attributes now, bool just_looked_up) {
  // Moving a file changes its ctime, and so its version.
  const bool touched = now.nlink == 0 || version_of(now) != inode->named_version;
  InodeRef parent = core_.inodes.find(inode->parent);
  if (!touched || inode->name.empty() || !parent) co_return true;
  inode->named_version = version_of(now);
  const std::uint32_t links = std::max(std::exchange(inode->named_links, now.nlink), now.nlink);
  // Nobody tells by which of several names the kernel has come.
  if (now.nlink != 0 && links > 1) co_return just_looked_up;
  bool same = false;
  if (now.nlink == 1) {
    auto reply = co_await ask(to_wire(call.caller), parent, inode->name);
    same = !reply && reply.error() != Errno(ENOENT);
    if (reply && reply.value().attributes) {
      same = same_file(from_wire(*reply.value().attributes), inode->attributes);
    }
  }
  if (!same) core_.inodes.change_name(*inode, 0, "");
  co_return same;
}

Task<InodeRef> NameCache::enter(InodeRef parent, std::string name, HandleBytes handle,
                                Attributes attributes, std::uint64_t asked_at) {
  InodeRef inode = co_await inode_for(parent, name, handle, attributes);
  ++inode->lookups;
  core_.forgetting.memory_changed();
  (void)co_await core_.attributes.take(inode, attributes, asked_at);
  co_await core_.notifications.hide_unstable_size(inode);
  co_return inode;
}

Task<InodeRef> NameCache::inode_for(InodeRef parent, std::string name, HandleBytes handle,
                                    Attributes attributes) {
  InodeRef inode = core_.inodes.find_by_handle(handle);
  InodeRef known = inode ? nullptr : core_.inodes.find_by_name(parent->node, name);
  if (known && same_file(known->attributes, attributes)) {
    // In one session a file has one handle, unless the server has had to forget the first.
    bool lost = known->handle_incarnation != core_.session.incarnation();
    if (!lost) {
      wire::GetAttrRequestT request;
      request.caller = std::make_unique<wire::CallerT>();
      request.handle = known->handle;
      auto reply = co_await core_.call<wire::GetAttrRequest>(request);
      lost = !reply && reply.error() == Errno(ESTALE);
      inode = core_.inodes.find_by_handle(handle);
    }
    if (lost && !inode && core_.inodes.find(known->node)) {
      core_.inodes.change_handle(*known, handle);
      inode = known;
    }
  }
  if (!inode) inode = core_.inodes.find_or_create(handle);
  inode->handle_incarnation = core_.session.incarnation();
  const bool by_another_name = inode->lookups > 0 && !inode->name.empty() &&
                               (inode->parent != parent->node || inode->name != name);
  if (by_another_name) core_.leases.name_superseded(*inode);
  core_.inodes.change_name(*inode, parent->node, name);
  if (by_another_name && version_of(attributes) != inode->named_version) {
    // The kernel may remember the file by its other name too, which may be another file's by now.
    inode->named_links = std::max(attributes.nlink, 2u);
  } else {
    inode->named_version = version_of(attributes);
    inode->named_links = attributes.nlink;
  }
  co_return inode;
}

Entry NameCache::entry_of(Inode& inode, NodeId parent, std::string_view name,
                          std::uint64_t asked_at, Duration age) {
  Entry entry;
  entry.node = inode.node;
  entry.attributes = core_.attributes.shown(inode, asked_at);
  const bool owner_known = inode.kernel.knows_owner_and_mode(entry.attributes);
  const InodeRef directory = core_.inodes.find(parent);
  // Only one name of a file is remembered, so the kernel could not be told about the others.
  const bool sole_name = inode.attributes.is_directory() || inode.attributes.nlink <= 1;
  // Nor could it be told when others change attributes without a recall; and where Linux believes
  // the name, it relies on the owner that it was told last (setattr_prepare(), may_delete()).
  const bool covered = directory && sole_name && inode.name == name && owner_known &&
                       core_.leases.covers_name(inode, *directory) && core_.leases.holds(inode);
  const Duration recent =
      owner_known ? std::max(Duration::zero(), core_.options.actimeo_us - age) : Duration::zero();
  entry.name_timeout_us = covered ? Leases::kBelieved : recent;
  entry.attribute_timeout_us = core_.attributes.timeout(inode);
  inode.kernel.believes = inode.kernel.believes || covered;
  inode.kernel.believes_name = inode.kernel.believes_name || covered;
  inode.kernel.name = name_key(parent, name);
  inode.kernel.name_told = core_.clock.now();
  inode.kernel.believed_until =
      core_.clock.now() + std::min(entry.name_timeout_us, entry.attribute_timeout_us);
  return entry;
}

bool NameCache::is_known_above(Inode& inode, NodeId parent, std::string_view name) {
  const bool believes =
      inode.kernel.believed_until - core_.clock.now() > core_.options.actimeo_us / 2;
  if (!believes || inode.kernel.name != name_key(parent, name)) return false;
  const Attributes& now = inode.attributes;
  const bool written = !inode.dirty() && !AttributeWriteback::is_dirty(inode);
  return written && !inode.mtime_shown && now.size == inode.kernel.size &&
         now.mtime_ns == inode.kernel.mtime_ns && now.ctime_ns == inode.kernel.ctime_ns;
}

}  // namespace foliofs::vfs
