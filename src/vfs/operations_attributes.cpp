// Attributes: getattr, setattr with its truncation, statfs.
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// SETATTR as it goes over the wire; `file` is the open through which a size is changed, if any.
Task<Result<Attributes>> send_setattr(MountCore& core, Call call, InodeRef inode,
                                      AttributeChange change, OpenFileRef file) {
  wire::SetAttrRequestT request = to_wire(change);
  request.caller = caller_of(call);
  const bool by_open =
      file && (change.valid & proto::kSetSize) != 0 && file->server_open->writable();
  std::optional<ServerOpenRequest> under_way;
  if (by_open) under_way.emplace(file->server_open);
  Result<wire::AttrReplyT> reply = Errno(EIO);
  std::uint64_t asked_at = 0;
  for (int attempt = 0; attempt < InodeIo::kMaxAttempts; ++attempt) {
    std::uint64_t incarnation = 0;
    if (by_open) {
      auto current = co_await inode->io->ensure_current(file->server_open);
      if (!current) co_return current.error();
      request.open_id = file->server_open->id;
      incarnation = file->server_open->incarnation;
    }
    asked_at = core.logical_time;
    reply = co_await core.call_on<wire::SetAttrRequest>(inode, &wire::SetAttrRequestT::handle,
                                                        request, nullptr, incarnation);
    if (reply || reply.error() != rpc::kSessionLost) break;
  }
  if (!reply) {
    const bool refused = reply.error() == Errno(EPERM) || reply.error() == Errno(EACCES);
    if (!refused) core.attributes.changed_in_part(inode);
    co_return reply.error() == rpc::kSessionLost ? Errno(EIO) : reply.error();
  }
  if (!reply.value().attributes) co_return Errno(EPROTO);
  const Attributes now = from_wire(*reply.value().attributes);
  core.attributes.take_own_change(*inode, now, asked_at);
  if ((change.valid & proto::kSetSize) != 0) inode->attributes.size = now.size;
  co_return now;
}

// GETATTR, through the open `file` if there is one and it belongs to the present session.
Task<Result<Attributes>> send_getattr(MountCore& core, Call call, InodeRef inode,
                                      OpenFileRef file) {
  wire::GetAttrRequestT request;
  request.caller = caller_of(call);
  Result<wire::AttrReplyT> reply = rpc::kSessionLost;
  if (file && file->server_open->incarnation == core.session.incarnation()) {
    const ServerOpenRequest under_way(file->server_open);
    request.handle = inode->handle;
    request.open_id = file->server_open->id;
    reply =
        co_await core.call<wire::GetAttrRequest>(request, nullptr, file->server_open->incarnation);
    request.open_id = 0;
  }
  if (!reply && reply.error() == rpc::kSessionLost) {
    reply =
        co_await core.call_on<wire::GetAttrRequest>(inode, &wire::GetAttrRequestT::handle, request);
  }
  if (!reply) co_return reply.error();
  if (!reply.value().attributes) co_return Errno(EPROTO);
  co_return from_wire(*reply.value().attributes);
}

}  // namespace

std::optional<Attributes> Operations::try_getattr(NodeId node, bool for_program) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode || inode->revalidating != 0 || core_.notifications.has_unstable_size(*inode))
    return std::nullopt;
  if (!core_.attributes.are_known(*inode)) return std::nullopt;
  const bool unsent = inode->dirty() || inode->mtime_shown || AttributeWriteback::is_dirty(*inode);
  if (for_program && unsent) return std::nullopt;
  return core_.attributes.shown(*inode, core_.logical_time);
}

Task<Result<Attributes>> Operations::getattr(Call call, NodeId node, OpenFileRef file) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  const std::uint64_t came_at = core_.logical_time;
  const bool for_program = !file;
  if (for_program && inode->has_few_dirty_bytes()) (void)co_await core_.write_back(inode);
  if (for_program) co_await core_.attribute_writeback.write(inode);
  co_await core_.attributes.wait_until_valid(inode);
  for (int query = 0; query < MountCore::kMaxQueries; ++query) {
    if (core_.attributes.are_known(*inode)) break;
    const std::uint64_t asked_at = core_.logical_time;
    auto attributes = co_await send_getattr(core_, call, inode, file);
    if (!attributes) co_return attributes.error();
    (void)co_await core_.attributes.take(inode, attributes.value(), asked_at);
    if (inode->changed_at <= asked_at) break;
  }
  if (inode->size_unknown && inode->mapping) co_await core_.attributes.learn_size(inode);
  // The kernel handles one notification after the other, and may be stuck in one.
  const bool ignored = inode->kernel.ignores(came_at) && inode->kernel.notifications == 0;
  if (ignored && inode->mapping) co_await core_.notifications.tell_growth(inode);
  co_await core_.notifications.hide_unstable_size(inode);
  if (for_program && inode->dirty()) inode->mtime_shown = true;
  co_return core_.attributes.shown(*inode, came_at);
}

Task<Result<Attributes>> Operations::setattr(Call call, NodeId node, AttributeChange change,
                                             OpenFileRef file) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  if (core_.options.read_only) co_return Errno(EROFS);
  if (core_.attribute_writeback.may_keep(*inode, call.caller, change)) {
    core_.attribute_writeback.keep(inode, call.caller, change);
    co_return core_.attributes.shown(*inode, KernelView::kTaken);
  }
  // Nothing to set: it is chown(-1, -1), or a program without CAP_FSETID is about to write. Both
  // take set-id bits away. The server's kernel knows which, if it is given the chown.
  const bool only_set_id_bits = change.valid == 0;
  if (only_set_id_bits) {
    change.valid = proto::kSetUid | proto::kSetGid;
    change.uid = change.gid = static_cast<std::uint32_t>(-1);
  }
  constexpr std::uint32_t kTimes =
      proto::kSetAtime | proto::kSetMtime | proto::kSetAtimeNow | proto::kSetMtimeNow;
  constexpr std::uint32_t kOwnerAndMode = proto::kSetMode | proto::kSetUid | proto::kSetGid;
  const bool sets_what_writing_changes =
      !only_set_id_bits && (change.valid & (kTimes | kOwnerAndMode)) != 0;
  // Bytes written back later would move the times again, and take set-id bits away.
  if (sets_what_writing_changes) (void)co_await core_.write_back(inode);
  if ((change.valid & kTimes) != 0) inode->mtime_shown = false;

  Status status = success();
  if ((change.valid & proto::kSetSize) != 0 && inode->attributes.is_regular()) {
    core_.prepare_mapping(inode);  // the first OPEN of the file may be under way
    const OwnGrowth growth(inode);
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
  const bool may_write = inode->io && inode->io->has_writable_open();
  if (!status && only_set_id_bits && may_write && status.error() == Errno(EPERM)) {
    // A program that may write need not be the owner. The set-id bits go when its bytes arrive at
    // the server.
    drop_set_id_bits(*inode);
    status = success();
  }
  if (!status) co_return status.error();
  AttributeWriteback::superseded(*inode, change.valid);
  co_return core_.attributes.shown(*inode, KernelView::kTaken);
}

std::chrono::microseconds Operations::attribute_timeout_us(NodeId node) const {
  InodeRef inode = core_.inodes.find(node);
  return inode ? core_.attributes.timeout(*inode) : std::chrono::microseconds(0);
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

bool Operations::server_is_away() const {
  constexpr Duration kSilence = std::chrono::seconds(1);
  return core_.session.state() != rpc::ConnectionState::kConnected ||
         core_.session.silent_for_us() > kSilence;
}

}  // namespace foliofs::vfs
