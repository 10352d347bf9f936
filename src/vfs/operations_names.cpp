// Names: lookup, and everything that makes, moves or removes one.
#include <sys/stat.h>

#include <cstdio>

#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// The checks that every change of a directory begins with.
Status check_change(MountCore& core, const InodeRef& parent, std::string_view name) {
  if (!parent) return Errno(ESTALE);
  if (core.options.read_only) return Errno(EROFS);
  return check_name(name);
}

InodeTable::OldName old_name(bool is_gone) {
  return is_gone ? InodeTable::OldName::kIsGone : InodeTable::OldName::kMayStay;
}

// Whether nothing is left under the old name of a file that was renamed in place of `victim`. If
// both are names of the same file, both stay.
bool leaves_nothing(const Inode& moved, const HandleBytes& victim, std::uint32_t flags) {
  const bool is_plain = (flags & ~static_cast<std::uint32_t>(RENAME_NOREPLACE)) == 0;
  const bool sole_name = moved.attributes.is_directory() || moved.attributes.nlink <= 1;
  return is_plain && sole_name && victim != moved.handle;
}

// A file has lost a name. It may have others, under which its new link count and ctime are seen.
Task<void> note_victim(MountCore& core, HandleBytes handle,
                       std::unique_ptr<wire::Attributes> attributes, std::uint64_t asked_at) {
  if (handle.empty() || attributes == nullptr) co_return;
  InodeRef victim = core.inodes.find_by_handle(handle);
  if (!victim) co_return;
  core.attributes.take_own_change(*victim, from_wire(*attributes), asked_at);
  co_await core.open_files.lost_name(victim);
}

}  // namespace

Task<Result<Entry>> Operations::lookup(Call call, NodeId parent_node, std::string name) {
  InodeRef parent = core_.inodes.find(parent_node);
  if (!parent) co_return Errno(ESTALE);
  if (auto valid = check_name(name); !valid) co_return valid.error();
  const std::uint64_t came_at = core_.logical_time;
  if (core_.names.is_worth_listing(*parent, name)) {
    co_await core_.names.list(call, parent);
    if (auto listed = core_.names.listed(*parent, name, came_at)) co_return *listed;
  }
  const std::uint64_t asked_at = core_.logical_time;
  auto reply = co_await core_.names.ask(to_wire(call.caller), parent, name, /*tell_absence=*/true);
  if (!reply && reply.error() != Errno(ENOENT)) co_return reply.error();
  const wire::Attributes* directory = reply ? reply.value().parent_attributes.get() : nullptr;
  core_.attributes.directory_seen(*parent, directory, asked_at);
  if (!reply || (reply.value().handle.empty() && !reply.value().attributes)) {
    co_return core_.names.absent(*parent, name, directory, asked_at);
  }
  if (!reply.value().attributes || reply.value().handle.empty()) co_return Errno(EPROTO);
  InodeRef inode = co_await core_.names.enter(parent, name, reply.value().handle,
                                              from_wire(*reply.value().attributes), asked_at);
  if (parent->changed_at <= asked_at) {
    core_.leases.name_seen(*inode, *parent, directory, asked_at);
  }
  Entry entry = core_.names.entry_of(*inode, parent_node, name, came_at);
  // The client that has changed the name may have been told that nobody believes it any more.
  if (core_.leases.is_recalled(*parent, asked_at)) entry.name_timeout_us = Duration::zero();
  co_return entry;
}

std::optional<Entry> Operations::try_lookup(NodeId parent_node, const std::string& name) {
  InodeRef parent = core_.inodes.find(parent_node);
  if (!parent || !check_name(name)) return std::nullopt;
  if (auto leased = core_.names.leased(*parent, name, core_.logical_time)) return leased;
  return core_.names.listed(*parent, name, core_.logical_time);
}

void Operations::forget(NodeId node, std::uint64_t count) {
  core_.forget(node, count);
}

// Sends a request that makes an entry in `parent`. If it was sent twice because the server
// restarted, EEXIST means that the first one has made the entry. The request names `other` in its
// field `other_at`.
template <class Request>
static Task<Result<Entry>> make_entry(MountCore& core, Call call, InodeRef parent, std::string name,
                                      typename Request::NativeTableType request,
                                      InodeRef other = nullptr,
                                      HandleBytes Request::NativeTableType::*other_at = nullptr) {
  request.caller = caller_of(call);
  request.name = name;
  const std::uint64_t asked_at = core.logical_time;
  OwnChange under_way(core, parent, name, call);
  bool retried = false;
  auto reply = co_await core.call_on<Request>(parent, &Request::NativeTableType::parent,
                                              std::move(request), &retried, 0, other, other_at);
  core.attributes.directory_changed(
      *parent, reply ? reply.value().parent_attributes.get() : nullptr, asked_at);
  if (!reply && retried && reply.error() == Errno(EEXIST)) {
    reply = co_await core.names.ask(to_wire(call.caller), parent, name);
  }
  if (!reply) co_return reply.error();
  if (!reply.value().attributes || reply.value().handle.empty()) co_return Errno(EPROTO);
  InodeRef inode = co_await core.names.enter(parent, name, reply.value().handle,
                                             from_wire(*reply.value().attributes), asked_at);
  core.leases.name_seen(*inode, *parent, reply.value().parent_attributes.get(), asked_at);
  // A directory that this request has made, and nobody else has changed yet, is empty.
  const bool made_it = inode->attributes.is_directory() && !retried;
  if (made_it && inode->attributes.foreign_changes == 0) {
    core.leases.names_listed(*inode, reply.value().attributes.get(), inode->lease.number, asked_at,
                             {.end = true});
  }
  core.attributes.changed(*inode);
  under_way.succeeded();
  co_return core.names.entry_of(*inode, parent->node, name, KernelView::kTaken);
}

Task<Result<Entry>> Operations::mknod(Call call, NodeId parent_node, std::string name,
                                      std::uint32_t mode, std::uint64_t rdev) {
  InodeRef parent = core_.inodes.find(parent_node);
  if (auto valid = check_change(core_, parent, name); !valid) co_return valid.error();
  wire::MknodRequestT request;
  request.mode = mode;
  request.umask = call.umask;
  request.rdev = rdev;
  co_return co_await make_entry<wire::MknodRequest>(core_, call, parent, name, std::move(request));
}

Task<Result<Entry>> Operations::mkdir(Call call, NodeId parent_node, std::string name,
                                      std::uint32_t mode) {
  InodeRef parent = core_.inodes.find(parent_node);
  if (auto valid = check_change(core_, parent, name); !valid) co_return valid.error();
  wire::MkdirRequestT request;
  request.mode = mode;
  request.umask = call.umask;
  co_return co_await make_entry<wire::MkdirRequest>(core_, call, parent, name, std::move(request));
}

Task<Result<Entry>> Operations::symlink(Call call, NodeId parent_node, std::string name,
                                        std::string target) {
  InodeRef parent = core_.inodes.find(parent_node);
  if (auto valid = check_change(core_, parent, name); !valid) co_return valid.error();
  if (target.size() > kMaxSymlinkBytes) co_return Errno(ENAMETOOLONG);
  wire::SymlinkRequestT request;
  request.target.assign(target.begin(), target.end());
  co_return co_await make_entry<wire::SymlinkRequest>(core_, call, parent, name,
                                                      std::move(request));
}

Task<Result<Entry>> Operations::link(Call call, NodeId node, NodeId parent_node, std::string name) {
  InodeRef parent = core_.inodes.find(parent_node);
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  if (auto valid = check_change(core_, parent, name); !valid) co_return valid.error();
  co_return co_await make_entry<wire::LinkRequest>(core_, call, parent, name, wire::LinkRequestT(),
                                                   inode, &wire::LinkRequestT::handle);
}

Task<Status> Operations::unlink(Call call, NodeId parent_node, std::string name, bool directory) {
  InodeRef parent = core_.inodes.find(parent_node);
  if (auto valid = check_change(core_, parent, name); !valid) co_return valid.error();
  wire::UnlinkRequestT request;
  request.caller = caller_of(call);
  request.name = name;
  request.directory = directory;
  const std::uint64_t asked_at = core_.logical_time;
  OwnChange under_way(core_, parent, name, call);
  const InodeRef known = core_.inodes.find_by_name(parent_node, name);
  if (known) core_.idle_opens.close(*known);  // or its bytes would not go with its name
  bool retried = false;
  auto reply = co_await core_.call_on<wire::UnlinkRequest>(parent, &wire::UnlinkRequestT::parent,
                                                           request, &retried);
  core_.attributes.directory_changed(
      *parent, reply ? reply.value().parent_attributes.get() : nullptr, asked_at);
  InodeRef removed = core_.inodes.find_by_name(parent_node, name);
  if (removed) {
    removed->attributes_expire = {};
    // Another file, made since, may have the name now.
    if (reply) core_.inodes.change_name(*removed, 0, "", old_name(removed == known));
  }
  if (reply) {
    co_await note_victim(core_, reply.value().victim_handle, std::move(reply.value().victim),
                         asked_at);
  }
  // Sent twice because the server restarted in between: the first one did it.
  if (!reply && !(retried && reply.error() == Errno(ENOENT))) co_return reply.error();
  under_way.succeeded();
  co_return success();
}

// The file that has this name now, if it is known here by another name.
static Task<InodeRef> find_moved(MountCore& core, Call call, InodeRef parent, std::string name) {
  auto reply = co_await core.names.ask(to_wire(call.caller), parent, std::move(name));
  if (!reply) co_return nullptr;
  co_return core.inodes.find_by_handle(reply.value().handle);
}

static wire::RenameRequestT rename_request(const Call& call, const std::string& name,
                                           const std::string& new_name, std::uint32_t flags) {
  wire::RenameRequestT request;
  request.caller = caller_of(call);
  request.name = name;
  request.new_name = new_name;
  request.flags = flags;
  return request;
}

Task<Status> Operations::rename(Call call, NodeId parent_node, std::string name,
                                NodeId new_parent_node, std::string new_name, std::uint32_t flags) {
  InodeRef parent = core_.inodes.find(parent_node);
  InodeRef new_parent = core_.inodes.find(new_parent_node);
  if (auto valid = check_change(core_, parent, name); !valid) co_return valid.error();
  if (auto valid = check_change(core_, new_parent, new_name); !valid) co_return valid.error();
  const std::uint64_t asked_at = core_.logical_time;
  OwnChange under_way(core_, parent, name, call);
  OwnChange under_way_there(core_, new_parent, new_name, call);
  InodeRef moved = core_.inodes.find_by_name(parent_node, name);
  const InodeRef known_there = core_.inodes.find_by_name(new_parent_node, new_name);
  if (known_there) core_.idle_opens.close(*known_there);
  bool retried = false;
  auto request = rename_request(call, name, new_name, flags);
  auto reply = co_await core_.call_on<wire::RenameRequest>(parent, &wire::RenameRequestT::parent,
                                                           request, &retried, 0, new_parent,
                                                           &wire::RenameRequestT::new_parent);
  core_.attributes.directory_changed(
      *parent, reply ? reply.value().parent_attributes.get() : nullptr, asked_at);
  if (new_parent != parent) {
    core_.attributes.directory_changed(
        *new_parent, reply ? reply.value().new_parent_attributes.get() : nullptr, asked_at);
  }
  const bool done = reply || (retried && reply.error() == Errno(ENOENT));
  if (!done) co_return reply.error();
  const HandleBytes victim_handle = reply ? reply.value().victim_handle : HandleBytes();
  if (reply) {
    co_await note_victim(core_, victim_handle, std::move(reply.value().victim), asked_at);
  }
  // Another file, made since, may have the old name now, or another client may have put one there
  // before.
  const bool sure_what = moved && moved == core_.inodes.find_by_name(parent_node, name) &&
                         !core_.leases.is_recalled(*parent, asked_at);
  if (!sure_what) moved = co_await find_moved(core_, call, new_parent, new_name);
  InodeRef replaced = core_.inodes.find_by_name(new_parent_node, new_name);
  if (replaced && replaced != moved) {
    // The server could not say more of a directory that has just been replaced.
    if (replaced->handle != victim_handle) replaced->attributes_expire = {};
    const bool exchanged = (flags & RENAME_EXCHANGE) != 0;
    const bool is_gone = reply && !exchanged && replaced == known_there;
    core_.inodes.change_name(*replaced, exchanged ? parent_node : 0,
                             exchanged ? name : std::string(), old_name(is_gone));
    if (exchanged && reply) {
      core_.leases.name_seen(*replaced, *parent, reply.value().parent_attributes.get(), asked_at);
    }
  }
  const bool left_nothing = reply && sure_what && leaves_nothing(*moved, victim_handle, flags);
  if (moved) {
    moved->attributes_expire = {};
    core_.inodes.change_name(*moved, new_parent_node, new_name, old_name(left_nothing));
    if (reply) {
      const auto& said = new_parent == parent ? reply.value().parent_attributes
                                              : reply.value().new_parent_attributes;
      core_.leases.name_seen(*moved, *new_parent, said.get(), asked_at);
    }
  }
  // The kernel moves the file that it knew by the old name, which somebody else may have moved away
  // before.
  const bool sure = moved && core_.leases.covers_name(*moved, *new_parent);
  if (!sure) core_.leases.name_doubtful(new_parent_node, new_name);
  if ((flags & RENAME_EXCHANGE) != 0) core_.leases.name_doubtful(parent_node, name);
  // What has these names now may not be known by them here.
  if (!left_nothing) parent->lease.forget_names();
  if (!moved) new_parent->lease.forget_names();
  under_way.succeeded();
  under_way_there.succeeded();
  co_return success();
}

Task<Result<std::string>> Operations::readlink(Call call, NodeId node) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  wire::ReadlinkRequestT request;
  request.caller = caller_of(call);
  auto reply = co_await core_.call_on<wire::ReadlinkRequest>(inode, &wire::ReadlinkRequestT::handle,
                                                             request);
  if (!reply) co_return reply.error();
  const auto& target = reply.value().target;
  co_return std::string(target.begin(), target.end());
}

}  // namespace foliofs::vfs
