#include "mount_core.h"

#include <fcntl.h>
#include <sys/stat.h>

namespace foliofs::vfs {

namespace {

// How long unwritable bytes of a released file wait for the next attempt.
constexpr Duration kWriteLaterInterval = std::chrono::seconds(5);

}  // namespace

wire::CallerT to_wire(const Caller& caller) {
  wire::CallerT wire;
  wire.uid = caller.uid;
  wire.gid = caller.gid;
  wire.groups = caller.groups;
  return wire;
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
}

Task<bool> MountCore::find_again(InodeRef inode) {
  InodeRef parent = inodes.find(inode->parent);
  if (inode->node == kRootNode) {
    HandleBytes root = session.hello().root;
    const bool other = root != inode->handle;
    inodes.change_handle(*inode, std::move(root));
    co_return other;
  }
  if (!parent || inode->name.empty()) co_return false;
  wire::LookupRequestT request;
  request.caller = std::make_unique<wire::CallerT>();
  request.parent = parent->handle;
  request.name = inode->name;
  auto reply = co_await call<wire::LookupRequest>(request);
  if (!reply && reply.error() == Errno(ESTALE)) {
    const bool parent_found = co_await find_again(parent);
    if (!parent_found) co_return false;
    request.parent = parent->handle;
    reply = co_await call<wire::LookupRequest>(request);
  }
  if (!reply || !reply.value().attributes) co_return false;
  const bool same_file = reply.value().attributes->ino() == inode->attributes.ino;
  if (!same_file || reply.value().handle == inode->handle) co_return false;
  inodes.change_handle(*inode, reply.value().handle);
  co_return true;
}

InodeRef MountCore::inode_for(const InodeRef& parent, const std::string& name,
                              const HandleBytes& handle) {
  InodeRef inode = inodes.find_or_create(handle);
  inodes.change_name(*inode, parent->node, name);
  return inode;
}

Task<Result<Entry>> MountCore::enter(InodeRef parent, std::string name, HandleBytes handle,
                                     Attributes attributes) {
  InodeRef inode = inode_for(parent, name, handle);
  ++inode->lookups;
  co_await take_attributes(inode, attributes, inode->generation);
  Entry entry;
  entry.node = inode->node;
  entry.attributes = shown_attributes(*inode);
  co_return entry;
}

Task<bool> MountCore::take_attributes(InodeRef inode, Attributes attributes,
                                      std::uint64_t asked_at) {
  bool changed = false;
  if (inode->mapping) {
    changed = inode->cached_version && changed_by_others(*inode->cached_version, attributes);
    inode->cached_version = attributes;
    if (changed) {
      // What is dirty here is written first; it may stay dirty, and then it is still ours (EBUSY).
      co_await inode->mapping->invalidate(request_for(cache::InvalidateReason::kRevalidate));
    }
  }
  if (inode->generation != asked_at) {
    inode->attributes_expire = {};
    co_return changed;
  }
  inode->attributes = attributes;
  inode->attributes_expire = clock.now() + options.actimeo_us;
  if (inode->mapping) inode->mapping->set_server_size(attributes.size);
  co_return changed;
}

Attributes MountCore::shown_attributes(Inode& inode) {
  Attributes shown = inode.attributes;
  if (!inode.mapping) return shown;
  shown.size = inode.mapping->size();
  if (inode.dirty()) {
    inode.mtime_shown = true;
    shown.blocks += (inode.mapping->dirty_bytes() + 511) / 512;
  }
  if (inode.mtime_shown) {
    shown.mtime_ns = inode.local_mtime_ns;
    shown.ctime_ns = std::max(shown.ctime_ns, inode.local_mtime_ns);
  }
  return shown;
}

void MountCore::note_store(const OpenFile& file) {
  Inode& inode = *file.inode;
  inode.local_mtime_ns = clock.wall_ns();
  inode.mtime_shown = false;
  inode.io->prefer(file.server_open);
  // The server will take the set-id bits away when the bytes arrive there.
  if (file.server_open->opener.uid != 0) drop_set_id_bits(inode);
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

void MountCore::prepare_mapping(const InodeRef& inode) {
  if (inode->mapping) return;
  inode->io = std::make_shared<InodeIo>(session, kernel, clock, inode, options.actimeo_us);
  inode->mapping = cache.make_mapping(inode->io, inode->io, inode->attributes.size);
}

OpenedFile MountCore::add_open_file(const InodeRef& inode, std::shared_ptr<ServerOpen> open,
                                    int flags) {
  auto file = std::make_unique<OpenFile>();
  file->inode = inode;
  file->server_open = open;
  file->errors = inode->mapping->errors().sample();
  file->direct = (flags & O_DIRECT) != 0;
  file->append = (flags & O_APPEND) != 0;
  inode->io->add(std::move(open));
  ++inode->open_count;
  OpenedFile opened;
  opened.file = file.get();
  // An appender's data goes where the server's file ends, which the kernel may not know; so it must
  // not keep the data under an offset of its own.
  opened.direct = !options.kernel_cache || file->append;
  open_files[file.get()] = std::move(file);
  return opened;
}

Task<void> MountCore::close_server_open(std::shared_ptr<ServerOpen> open) {
  if (open->incarnation != session.incarnation()) co_return;
  wire::CloseRequestT request;
  request.open_id = open->id;
  auto reply = co_await session.call<wire::CloseRequest>(request, open->incarnation);
  if (!reply) spdlog::debug("close: {}", errno_name(reply.error()));
}

Task<void> MountCore::stop_writing_later(InodeRef inode) {
  auto open = std::exchange(inode->kept_open, nullptr);
  if (!open) co_return;
  inode->io->remove(open);
  --inode->open_count;
  co_await close_server_open(open);
  inodes.drop_if_unused(inode);
}

Task<void> MountCore::write_later(MountCore& core, InodeRef inode,
                                  std::shared_ptr<ServerOpen> open) {
  ++core.background_tasks;
  inode->kept_open = open;
  spdlog::warn("{}: {} bytes could not be written; will go on trying", inode->name,
               inode->mapping->dirty_bytes());
  while (!core.stopping && inode->kept_open == open && inode->dirty()) {
    co_await core.clock.sleep(kWriteLaterInterval);
    cache::InvalidateRequest request;
    request.mode = cache::InvalidateMode::kLaunder;
    request.reason = cache::InvalidateReason::kRelease;
    cache::ErrCursor attempt = inode->mapping->errors().sample();
    auto report = co_await inode->mapping->flush(request);
    // The same failure again, of which somebody has been told.
    if (inode->told_of_failure) (void)inode->mapping->errors().check(attempt);
    if (report.error == Errno(ESTALE)) {
      const std::uint64_t lost = inode->mapping->abandon();
      spdlog::error("{}: the file is gone from the server, {} bytes lost", inode->name, lost);
    }
  }
  if (inode->kept_open == open && !inode->dirty()) co_await core.stop_writing_later(inode);
  --core.background_tasks;
  core.background_ended.wake_all();
}

}  // namespace foliofs::vfs
