// Attributes: getattr, setattr with its truncation, statfs.
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// A query whose answer was overtaken by a change of our own is asked again this often.
constexpr int kMaxQueries = 3;

// SETATTR as it goes over the wire; `file` is the open through which a size is changed, if any.
Task<Result<Attributes>> send_setattr(MountCore& core, Call call, InodeRef inode,
                                      AttributeChange change, OpenFile* file) {
  wire::SetAttrRequestT request;
  request.caller = caller_of(call);
  request.valid = change.valid;
  request.mode = change.mode;
  request.uid = change.uid;
  request.gid = change.gid;
  request.size = change.size;
  request.atime_ns = change.atime_ns;
  request.mtime_ns = change.mtime_ns;
  const bool by_open =
      file != nullptr && (change.valid & proto::kSetSize) != 0 && file->server_open->writable();
  if (by_open) {
    auto current = co_await inode->io->ensure_current(file->server_open);
    if (!current) co_return current.error();
    request.open_id = file->server_open->id;
  }
  auto reply = co_await core.call_on<wire::SetAttrRequest>(inode, &wire::SetAttrRequestT::handle,
                                                           std::move(request));
  if (!reply) co_return reply.error();
  if (!reply.value().attributes) co_return Errno(EPROTO);
  const Attributes now = from_wire(*reply.value().attributes);
  take_own_change(*inode, now, core.clock.now() + core.options.actimeo_us);
  if ((change.valid & proto::kSetSize) != 0) inode->attributes.size = now.size;
  co_return now;
}

}  // namespace

std::optional<Attributes> Operations::try_getattr(NodeId node) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode || inode->attributes_expire <= core_.clock.now()) return std::nullopt;
  return core_.shown_attributes(*inode);
}

Task<Result<Attributes>> Operations::getattr(Call call, NodeId node, OpenFile* file) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  for (int query = 0; query < kMaxQueries; ++query) {
    if (inode->attributes_expire > core_.clock.now()) break;
    const std::uint64_t asked_at = inode->generation;
    wire::GetAttrRequestT request;
    request.caller = caller_of(call);
    std::shared_ptr<ServerOpen> open = file != nullptr ? file->server_open : nullptr;
    if (open && open->incarnation == core_.session.incarnation()) request.open_id = open->id;
    auto reply = co_await core_.call_on<wire::GetAttrRequest>(inode, &wire::GetAttrRequestT::handle,
                                                              request);
    if (!reply) co_return reply.error();
    if (!reply.value().attributes) co_return Errno(EPROTO);
    co_await core_.take_attributes(inode, from_wire(*reply.value().attributes), asked_at);
  }
  co_return core_.shown_attributes(*inode);
}

Task<Result<Attributes>> Operations::setattr(Call call, NodeId node, AttributeChange change,
                                             OpenFile* file) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  if (core_.options.read_only) co_return Errno(EROFS);
  if (change.valid == 0) {
    // Before a write by somebody without CAP_FSETID the kernel asks for the set-id bits to go, and
    // for nothing else. The server's kernel does it when the bytes arrive; here they go at once.
    auto known = co_await getattr(call, node, file);
    if (!known) co_return known.error();
    drop_set_id_bits(*inode);
    co_return core_.shown_attributes(*inode);
  }
  constexpr std::uint32_t kTimes =
      proto::kSetAtime | proto::kSetMtime | proto::kSetAtimeNow | proto::kSetMtimeNow;
  if ((change.valid & kTimes) != 0 && inode->dirty()) {
    // Bytes written back later would move the time again.
    auto report =
        co_await inode->mapping->flush(core_.request_for(cache::InvalidateReason::kClose));
    if (report.error)
      spdlog::debug("{}: flush before utimens: {}", inode->name, errno_name(*report.error));
  }
  if ((change.valid & kTimes) != 0) inode->mtime_shown = false;

  Status status = success();
  if ((change.valid & proto::kSetSize) != 0 && inode->mapping) {
    auto tell_server = [&]() -> Task<Status> {
      auto sent = co_await send_setattr(core_, call, inode, change, file);
      if (!sent) co_return sent.error();
      co_return success();
    };
    status = co_await inode->mapping->truncate(change.size, tell_server);
    if (status) inode->mtime_shown = false;
  } else {
    auto sent = co_await send_setattr(core_, call, inode, change, file);
    if (!sent) status = sent.error();
  }
  if (!status) co_return status.error();
  co_return core_.shown_attributes(*inode);
}

Task<Result<FilesystemStats>> Operations::statfs(Call call, NodeId node) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  wire::StatFsRequestT request;
  request.caller = caller_of(call);
  auto reply =
      co_await core_.call_on<wire::StatFsRequest>(inode, &wire::StatFsRequestT::handle, request);
  if (!reply) co_return reply.error();
  const auto& wire = reply.value();
  FilesystemStats stats;
  stats.block_size = wire.block_size;
  stats.fragment_size = wire.fragment_size;
  stats.blocks = wire.blocks;
  stats.blocks_free = wire.blocks_free;
  stats.blocks_available = wire.blocks_available;
  stats.files = wire.files;
  stats.files_free = wire.files_free;
  stats.name_max = wire.name_max;
  co_return stats;
}

std::chrono::microseconds Operations::attribute_timeout_us() const {
  return core_.options.actimeo_us;
}

}  // namespace foliofs::vfs
