// InodeIo: what the server itself does to ranges of a file, and where the file's data is.
#include "inode_io.h"
#include "mount_core.h"

namespace foliofs::vfs {

Task<Result<InodeIo::Appended>> InodeIo::append(std::shared_ptr<ServerOpen> open,
                                                std::span<const std::byte> data) {
  const ServerOpenRequest under_way(open);
  auto current = co_await ensure_current(open);
  if (!current) co_return current.error();
  wire::WriteRequestT request;
  request.open_id = open->id;
  request.flags = proto::kWriteAppend;
  auto inode = inode_.lock();
  // If the opener is not root, the server takes set-id bits away by itself.
  const bool kills = inode && inode->kill_privileges;
  if (kills && open->opener.uid == 0) request.flags |= proto::kWriteKillPrivileges;
  const iovec part{const_cast<std::byte*>(data.data()), data.size()};
  rpc::Payload payload;
  payload.send = std::span(&part, 1);
  const std::uint64_t asked_at = asking_now();
  auto reply = co_await session_.exchange(proto::MessageType::kWrite, proto::encode(request),
                                          payload, open->incarnation);
  if (!reply) {
    changed_in_part();
    // The append may have happened or not, and must not happen twice.
    co_return reply.error() == rpc::kSessionLost ? Errno(EIO) : reply.error();
  }
  const auto* table = proto::view<wire::WriteReply>(reply.value().meta);
  if (table == nullptr || table->attributes() == nullptr) co_return Errno(EPROTO);
  if (kills) inode->kill_privileges = false;
  changed_by_us(*table->attributes(), asked_at);
  note_acknowledged();
  co_return Appended{table->offset(), table->attributes()->size()};
}

Task<Status> InodeIo::allocate(std::shared_ptr<ServerOpen> open, std::uint32_t mode,
                               std::uint64_t offset, std::uint64_t length) {
  wire::AllocateRequestT request;
  request.mode = mode;
  request.offset = offset;
  request.length = length;
  const std::uint64_t asked_at = asking_now();
  auto reply = co_await call_with<wire::AllocateRequest>(open, request);
  if (!reply) {
    changed_in_part();
    co_return reply.error();
  }
  if (!reply.value().attributes) co_return Errno(EPROTO);
  changed_by_us(*reply.value().attributes, asked_at);
  note_acknowledged();
  co_return success();
}

Task<Result<std::uint64_t>> InodeIo::seek(std::shared_ptr<ServerOpen> open, std::uint64_t offset,
                                          bool data) {
  wire::SeekRequestT request;
  request.offset = offset;
  request.data = data;
  auto reply = co_await call_with<wire::SeekRequest>(open, request);
  if (!reply) co_return reply.error();
  co_return reply.value().offset;
}

Task<Result<std::uint64_t>> InodeIo::copy(InodeIo& source, std::shared_ptr<ServerOpen> from,
                                          std::uint64_t from_offset, std::shared_ptr<ServerOpen> to,
                                          std::uint64_t to_offset, std::uint64_t length) {
  const ServerOpenRequest reading(from), writing(to);
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    auto current = co_await source.ensure_current(from);
    if (!current) co_return current.error();
    current = co_await ensure_current(to);
    if (!current) co_return current.error();
    if (from->incarnation != to->incarnation) continue;
    wire::CopyRangeRequestT request;
    request.from_open = from->id;
    request.from_offset = from_offset;
    request.to_open = to->id;
    request.to_offset = to_offset;
    request.length = length;
    const std::uint64_t asked_at = asking_now();
    auto reply = co_await session_.call<wire::CopyRangeRequest>(request, to->incarnation);
    if (!reply && reply.error() == rpc::kSessionLost) continue;
    if (!reply) {
      changed_in_part();
      co_return reply.error();
    }
    if (!reply.value().to || reply.value().copied > length) co_return Errno(EPROTO);
    changed_by_us(*reply.value().to, asked_at);
    note_acknowledged();
    co_return reply.value().copied;
  }
  co_return Errno(EIO);
}

}  // namespace foliofs::vfs
