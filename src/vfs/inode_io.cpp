#include "inode_io.h"

#include "mount_core.h"

namespace foliofs::vfs {

InodeIo::InodeIo(MountCore& core, std::weak_ptr<Inode> inode)
    : session_(core.session), core_(core.self), inode_(std::move(inode)) {}

std::shared_ptr<ServerOpen> InodeIo::find(bool (ServerOpen::*suitable)() const) const {
  for (const auto& open : opens_) {
    if (((*open).*suitable)()) return open;
  }
  return nullptr;
}

void InodeIo::prefer(const std::shared_ptr<ServerOpen>& open) {
  if (opens_.empty() || opens_.front() == open) return;
  auto found = std::find(opens_.begin(), opens_.end(), open);
  if (found != opens_.end()) std::rotate(opens_.begin(), found, found + 1);
}

Task<Status> InodeIo::ensure_current(std::shared_ptr<ServerOpen> open) {
  Status current = success();
  if (open->incarnation != session_.incarnation() || open->reopening) {
    current = co_await ensure_reopened(open);
  }
  auto inode = inode_.lock();
  while (current && inode) {
    // Before bytes are read or written through any open, all the locks must be held again.
    auto locking = inode->locks.get().open_of_stale(session_.incarnation());
    if (!locking) break;
    auto locked = co_await ensure_reopened(locking);
    if (locked) continue;
    if (is_away(locked.error())) co_return locked;
    lose_locks(*inode, locking, locked.error());
  }
  co_return current;
}

Task<Status> InodeIo::ensure_reopened(std::shared_ptr<ServerOpen> open) {
  while (open->incarnation != session_.incarnation() || open->reopening) {
    if (open->reopening) {
      co_await reopened_.wait();
      continue;
    }
    open->reopening = true;
    auto reopened = co_await reopen(*open);
    if (reopened) reopened = co_await reclaim_locks(open);
    open->reopening = false;
    reopened_.wake_all();
    if (!reopened && reopened.error() != rpc::kSessionLost) co_return reopened;
  }
  co_return success();
}

Task<Status> InodeIo::reopen(ServerOpen& open) {
  for (int repairs = 0;; ++repairs) {
    auto inode = inode_.lock();
    if (!inode || core_.expired()) co_return Errno(ESTALE);
    wire::OpenRequestT request;
    request.caller = std::make_unique<wire::CallerT>(to_wire(open.opener));
    request.handle = inode->handle;
    request.open_flags = static_cast<std::uint32_t>(open.flags);
    request.reclaim = true;
    const std::uint64_t incarnation = session_.incarnation();
    auto reply = co_await session_.call<wire::OpenRequest>(request, incarnation);
    if (reply) {
      open.id = reply.value().open_id;
      open.incarnation = incarnation;
      check_verifier(*inode);
      co_return success();
    }
    if (reply.error() != Errno(ESTALE) || repairs == MountCore::kMaxRepairs) {
      co_return reply.error();
    }
    if (inode->handle != request.handle) continue;
    auto core = core_.lock();
    if (!core) co_return Errno(ESTALE);
    auto found = co_await (*core)->names.find_again(inode, *request.caller);
    if (!found) co_return found.error();
    if (!found.value()) co_return Errno(ESTALE);
  }
}

Task<Result<std::uint64_t>> InodeIo::read(std::uint64_t offset, std::span<const iovec> into) {
  std::uint64_t length = 0;
  for (const iovec& part : into) length += part.iov_len;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    auto open = find(&ServerOpen::readable);
    if (!open) co_return Errno(EBADF);
    const ServerOpenRequest under_way(open);
    auto current = co_await ensure_current(open);
    if (!current) co_return current.error();
    wire::ReadRequestT request;
    request.open_id = open->id;
    request.offset = offset;
    request.length = static_cast<std::uint32_t>(length);
    rpc::Payload payload;
    payload.receive = into;
    auto reply = co_await session_.exchange(proto::MessageType::kRead, proto::encode(request),
                                            payload, open->incarnation);
    if (reply) {
      auto inode = inode_.lock();
      auto core = core_.lock();
      if (inode && core) (*core)->attributes.note_access(*inode);
      co_return reply.value().payload_bytes;
    }
    if (reply.error() != rpc::kSessionLost) co_return reply.error();
  }
  co_return Errno(EIO);
}

// Says where the payload goes.
static void place(wire::WriteRequestT& request, std::span<const ByteRange> ranges) {
  request.offset = ranges.front().begin;
  if (ranges.size() == 1) return;
  request.flags |= proto::kWriteRanges;
  request.ranges.reserve(ranges.size());
  for (ByteRange range : ranges) request.ranges.emplace_back(range.begin, range.size());
}

class InodeIo::WriteUnderWay {
 public:
  explicit WriteUnderWay(InodeIo& io) : io_(io), number_(++io.writes_begun_) {
    io_.writes_under_way_.insert(number_);
  }
  ~WriteUnderWay() {
    io_.writes_under_way_.erase(number_);
    io_.write_ended_.wake_all();
  }
  WriteUnderWay(const WriteUnderWay&) = delete;
  WriteUnderWay& operator=(const WriteUnderWay&) = delete;

 private:
  InodeIo& io_;
  const std::uint64_t number_;
};

Task<void> InodeIo::until_written(std::uint64_t write) {
  while (is_under_way(write)) co_await write_ended_.wait();
}

Task<Result<CarriedAttributes>> InodeIo::carry_attributes(std::shared_ptr<Inode> inode,
                                                          std::shared_ptr<ServerOpen> open,
                                                          wire::WriteRequestT& request) {
  auto core = core_.lock();
  if (!inode || !core) co_return CarriedAttributes();
  auto carry = (*core)->attribute_writeback.carry(std::move(inode), *open, request);
  core.reset();  // as in invalidate()
  co_return co_await std::move(carry);
}

Task<Status> InodeIo::write(cache::StoreWrite write) {
  const WriteUnderWay counted(*this);
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    auto open = find(&ServerOpen::writable);
    if (!open) co_return Errno(EBADF);
    const ServerOpenRequest under_way(open);
    auto inode = inode_.lock();
    wire::WriteRequestT request;
    auto carried = co_await carry_attributes(inode, open, request);
    if (!carried) co_return carried.error();
    auto current = co_await ensure_current(open);
    if (!current) co_return current.error();
    request.open_id = open->id;
    place(request, write.ranges);
    if (write.for_invalidation) request.flags |= proto::kWriteInvalidation;
    if (inode && inode->mtime_shown) {
      request.flags |= proto::kWriteSetMtime;
      request.mtime_ns = inode->local_mtime_ns;
    }
    // If the opener is not root, the server takes set-id bits away by itself.
    const bool kills = inode && std::exchange(inode->kill_privileges, false);
    if (kills && open->opener.uid == 0) request.flags |= proto::kWriteKillPrivileges;
    // The lease is returned only when the bytes are there.
    const bool awaited = inode && inode->lease.returning != 0;
    const auto urgency = awaited ? rpc::Urgency::kOthersWait : rpc::Urgency::kNow;
    rpc::Payload payload;
    payload.send = write.from;
    const std::uint64_t asked_at = asking_now();
    auto reply = co_await session_.exchange(proto::MessageType::kWrite, proto::encode(request),
                                            payload, open->incarnation, urgency);
    if (reply) {
      const auto* table = proto::view<wire::WriteReply>(reply.value().meta);
      if (table == nullptr) co_return Errno(EPROTO);
      if (table->attributes() != nullptr) {
        changed_by_us(*table->attributes(), asked_at);
        carried.value().arrived(from_wire(*table->attributes()));
      }
      note_acknowledged();
      co_return success();
    }
    if (kills) inode->kill_privileges = true;
    if (reply.error() != rpc::kSessionLost) {
      changed_in_part();
      co_return reply.error();
    }
  }
  co_return Errno(EIO);
}

Task<Status> InodeIo::set_mtime(std::int64_t mtime_ns) {
  auto open = find(&ServerOpen::writable);
  if (!open) co_return Errno(EBADF);
  const ServerOpenRequest under_way(open);
  auto current = co_await ensure_current(open);
  if (!current) co_return current.error();
  wire::WriteRequestT request;
  request.open_id = open->id;
  request.flags = proto::kWriteSetMtime;
  request.mtime_ns = mtime_ns;
  const std::uint64_t asked_at = asking_now();
  auto reply = co_await session_.call<wire::WriteRequest>(request, open->incarnation);
  if (!reply) co_return reply.error() == rpc::kSessionLost ? Errno(EIO) : reply.error();
  if (reply.value().attributes) changed_by_us(*reply.value().attributes, asked_at);
  co_return success();
}

Task<Status> InodeIo::commit(std::shared_ptr<ServerOpen> open, bool data_only) {
  const ServerOpenRequest under_way(open);
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    auto current = co_await ensure_current(open);
    if (!current) co_return current.error();
    wire::CommitRequestT request;
    request.open_id = open->id;
    request.data_only = data_only;
    auto inode = inode_.lock();
    const std::uint64_t covered = inode ? inode->writes_acknowledged : 0;
    auto reply = co_await session_.call<wire::CommitRequest>(request, open->incarnation);
    if (reply && inode) {
      check_verifier(*inode);
      if (inode->writes_acknowledged == covered) inode->uncommitted.reset();
    }
    if (reply) co_return success();
    if (reply.error() != rpc::kSessionLost) co_return reply.error();
  }
  co_return Errno(EIO);
}

Task<void> InodeIo::invalidate(ByteRange range) {
  auto inode = inode_.lock();
  auto core = core_.lock();
  if (!inode || !core) co_return;
  Task<void> drop = (*core)->notifications.drop_pages(std::move(inode), range);
  core.reset();  // the mount may end while the kernel drops pages
  co_await std::move(drop);
}

void InodeIo::check_verifier(Inode& inode) {
  if (!inode.uncommitted || *inode.uncommitted == session_.hello().write_verifier) return;
  inode.uncommitted.reset();
  if (inode.mapping) inode.mapping->errors().record(Errno(EIO));
}

void InodeIo::note_acknowledged() {
  auto inode = inode_.lock();
  if (!inode) return;
  check_verifier(*inode);
  inode->uncommitted = session_.hello().write_verifier;
  ++inode->writes_acknowledged;
}

std::uint64_t InodeIo::asking_now() const {
  auto core = core_.lock();
  return core ? (*core)->logical_time : 0;
}

void InodeIo::changed_by_us(const wire::Attributes& wire, std::uint64_t asked_at) {
  auto inode = inode_.lock();
  auto core = core_.lock();
  if (inode && core) (*core)->attributes.take_own_change(*inode, from_wire(wire), asked_at);
}

void InodeIo::changed_in_part() {
  auto inode = inode_.lock();
  auto core = core_.lock();
  if (inode && core) (*core)->attributes.changed_in_part(inode);
}

}  // namespace foliofs::vfs
