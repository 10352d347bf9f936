// InodeIo: locks of a session that the server has forgotten are taken again in the next one.
#include <fcntl.h>

#include "foliofs/base/log.h"
#include "inode_io.h"
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

wire::LockRequestT request_of(const ServerOpen& open, LockOwnerId id) {
  wire::LockRequestT request;
  request.open_id = open.id;
  request.owner = id.id;
  request.whole_file = id.whole_file;
  return request;
}

wire::LockRequestT reclaim_request(const ServerOpen& open, LockOwnerId id, std::uint32_t pid,
                                   const LockRange& piece) {
  wire::LockRequestT request = request_of(open, id);
  request.type = piece.type == LockType::kWrite ? F_WRLCK : F_RDLCK;
  request.start = piece.start;
  request.end = piece.end;
  request.pid = pid;
  request.reclaim = true;
  return request;
}

}  // namespace

bool InodeIo::is_away(Errno error) {
  return error == Errno(ETIMEDOUT) || error == Errno(ENOTCONN);
}

Task<Status> InodeIo::reclaim_locks(std::shared_ptr<ServerOpen> open) {
  auto inode = inode_.lock();
  if (!inode) co_return success();
  const std::uint64_t incarnation = open->incarnation;
  for (const LockOwnerId id : inode->locks.get().owners_through(open)) {
    auto locked = co_await reclaim_owner(inode, open, id);
    if (locked) continue;
    if (locked.error() != rpc::kSessionLost && !is_away(locked.error())) {
      lose_locks(*inode, open, locked.error());
      break;
    }
    // So that the open and its locks are tried once more.
    if (open->incarnation == incarnation) open->incarnation = 0;
    co_return locked;
  }
  co_return success();
}

Task<Status> InodeIo::reclaim_owner(InodeRef inode, std::shared_ptr<ServerOpen> open,
                                    LockOwnerId id) {
  const auto turn = co_await inode->locks->turn(id);
  // The owner may have unlocked before its turn came.
  auto& owners = inode->locks->owners;
  const auto found = owners.find(id);
  if (found == owners.end() || found->second.open != open) co_return success();
  const std::uint64_t incarnation = open->incarnation;
  const std::uint32_t pid = found->second.pid;
  std::vector<LockRange> pieces;
  found->second.ranges.for_each([&](const LockRange& piece) { pieces.push_back(piece); });
  for (const LockRange& piece : pieces) {
    const auto request = reclaim_request(*open, id, pid, piece);
    auto reply = co_await session_.call<wire::LockRequest>(request, incarnation);
    if (!reply) co_return reply.error();
  }
  if (auto now = owners.find(id); now != owners.end()) now->second.incarnation = incarnation;
  co_return success();
}

void InodeIo::lose_locks(Inode& inode, const std::shared_ptr<ServerOpen>& open, Errno why) {
  log_error("{}: the server has forgotten a lock, and it cannot be had again ({})", inode.name,
            errno_name(why));
  open->locks_lost = true;
  const auto owners = inode.locks->owners_through(open);
  for (const LockOwnerId id : owners) inode.locks->owners.erase(id);
  // Programs must hear of this at their next read, which the kernel would answer from its pages.
  // Nobody waits here until these are dropped, because a READ may be what has found the loss.
  auto core = core_.lock();
  if (!core) return;
  (*core)->spawn("pages of a lost lock",
                 (*core)->notifications.drop_pages(inode_.lock(), ByteRange::all()));
  // Some locks may have been taken again before one was refused, and nothing records them any more.
  (*core)->spawn("give up locks", give_up_locks(session_, inode_.lock(), open, owners));
}

Task<void> InodeIo::give_up_locks(rpc::Session& session, InodeRef inode,
                                  std::shared_ptr<ServerOpen> open,
                                  std::vector<LockOwnerId> owners) {
  const ServerOpenRequest under_way(open);
  const std::uint64_t incarnation = open->incarnation;
  for (const LockOwnerId id : owners) {
    const auto turn = co_await inode->locks->turn(id);
    // The owner may have locked anew, through another open.
    if (inode->locks->owners.contains(id)) continue;
    wire::LockRequestT request = request_of(*open, id);
    request.type = F_UNLCK;
    request.end = kLastLockByte;
    auto reply = co_await session.call<wire::LockRequest>(request, incarnation);
    if (reply) continue;
    log_debug("give up locks: {}", errno_name(reply.error()));
    if (is_away(reply.error()) || reply.error() == rpc::kSessionLost) co_return;
  }
}

}  // namespace foliofs::vfs
