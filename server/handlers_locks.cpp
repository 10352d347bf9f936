// Handlers of locks. They touch nothing but the export's LockTable and never wait.
#include "server/handlers.h"

namespace foliofs::server {

namespace {

// The common part of LOCK and TESTLOCK: F_RDLCK, F_WRLCK, F_UNLCK and bytes [start, end].
struct AskedLock {
  LockRequest lock;
  bool unlock = false;
};

template <class Request>
Result<AskedLock> asked_lock(const Call& call, const Request& request, LockKind kind) {
  BOOST_OUTCOME_TRY(auto open, call.session->find_open(request.open_id()));
  const std::uint32_t type = request.type();
  if (type != F_RDLCK && type != F_WRLCK && type != F_UNLCK) return Errno(EINVAL);
  AskedLock asked;
  asked.unlock = type == F_UNLCK;
  asked.lock.file = open.file->id();
  asked.lock.kind = kind;
  asked.lock.owner = {call.session->number(), request.owner()};
  asked.lock.range.type = type == F_WRLCK ? LockType::kWrite : LockType::kRead;
  if (kind == LockKind::kBytes) {
    if (request.start() > request.end() || request.end() > kLastLockByte) return Errno(EINVAL);
    asked.lock.range.start = request.start();
    asked.lock.range.end = request.end();
  }
  return asked;
}

Reply lock_reply(bool granted) {
  return build_reply([&](auto& builder) { return wire::CreateLockReply(builder, granted); });
}

}  // namespace

Result<Reply> handle_lock(Call& call, Place) {
  const auto& request = request_of<wire::LockRequest>(call);
  const LockKind kind = request.whole_file() ? LockKind::kWholeFile : LockKind::kBytes;
  BOOST_OUTCOME_TRY(auto asked, asked_lock(call, request, kind));
  LockTable& locks = *call.session->share().locks;
  if (request.waiter() != 0 && (asked.unlock || request.reclaim())) return Errno(EINVAL);
  if (asked.unlock) {
    locks.unlock(asked.lock);
    return lock_reply(true);
  }
  asked.lock.pid = request.pid();
  auto granted = locks.lock(asked.lock, request.waiter(), request.reclaim(), call.session);
  // If the session has ended meanwhile, nothing else would drop a lock that was granted too late.
  if (call.session->has_ended()) locks.end_session(call.session->number());
  if (!granted) return granted.error();
  return lock_reply(granted.value());
}

Result<Reply> handle_test_lock(Call& call, Place) {
  const auto& request = request_of<wire::TestLockRequest>(call);
  BOOST_OUTCOME_TRY(auto asked, asked_lock(call, request, LockKind::kBytes));
  if (asked.unlock) return Errno(EINVAL);
  const auto held = call.session->share().locks->test(asked.lock);
  return build_reply([&](auto& builder) {
    if (!held) return wire::CreateTestLockReply(builder, F_UNLCK);
    const LockRange& range = held->range;
    const std::uint32_t type = range.type == LockType::kWrite ? F_WRLCK : F_RDLCK;
    return wire::CreateTestLockReply(builder, type, range.start, range.end, held->pid);
  });
}

Result<Reply> handle_cancel_lock(Call& call, Place) {
  const std::uint64_t waiter = request_of<wire::CancelLockRequest>(call).waiter();
  call.session->share().locks->cancel(call.session->number(), waiter);
  return empty_reply();
}

void drop_locks_if_closed(const Call& call, const OpenFile& file) {
  LockTable& locks = *call.session->share().locks;
  const FileId id = file.id();
  const std::uint64_t session = call.session->number();
  if (!locks.concerns(session, id)) return;
  // A call in the pool may have opened the file again and locked it through that open.
  call.session->unless_open(id, [&] { locks.drop(session, id); });
}

}  // namespace foliofs::server
