// The handlers of fcntl(2)'s and flock(2)'s locks. The kernel keeps no locks of its own for such a
// mount: it asks us for each, and FLUSH says for which owner close(2) was called. A lock is known
// by its owner, which for F_OFD_SETLK is the open file.
#include <fcntl.h>
#include <sys/file.h>

#include "foliofs/base/lock_ranges.h"
#include "handlers.h"
#include "request.h"

namespace foliofs::fuse {

namespace {

vfs::FileLock to_lock(const fuse_file_info& info, const struct flock& asked) {
  vfs::FileLock lock;
  lock.owner = info.lock_owner;
  lock.type = static_cast<std::uint32_t>(asked.l_type);
  lock.start = static_cast<std::uint64_t>(asked.l_start);
  lock.end =
      asked.l_len == 0 ? kLastLockByte : lock.start + static_cast<std::uint64_t>(asked.l_len) - 1;
  lock.pid = static_cast<std::uint32_t>(asked.l_pid);
  return lock;
}

Task<void> run_test_lock(RequestRef request, vfs::OpenFileRef file, vfs::FileLock lock) {
  auto found = co_await request->operations().test_lock(file, lock);
  found ? request->reply_lock(found.value()) : request->reply(found.error());
}
void on_getlk(fuse_req_t req, fuse_ino_t, fuse_file_info* info, struct flock* asked) {
  auto request = Request::make(req);
  start(request, run_test_lock(request, hold(info), to_lock(*info, *asked)));
}

Task<void> run_set_lock(RequestRef request, vfs::OpenFileRef file, vfs::FileLock lock,
                        vfs::LockWaitRef wait) {
  auto status = co_await request->operations().set_lock(request->call(), file, lock, wait);
  const bool taken = request->reply(status);
  if (taken || !status || lock.type == F_UNLCK) co_return;
  // The lock was granted, but its caller has already been answered with EINTR.
  lock.type = F_UNLCK;
  (void)co_await request->operations().set_lock(request->call(), file, lock, nullptr);
}

void set_lock(fuse_req_t req, const fuse_file_info* info, const vfs::FileLock& lock, bool waits) {
  auto request = Request::make(req);
  auto wait = waits ? std::make_shared<vfs::LockWait>() : nullptr;
  if (wait) request->on_interrupt([wait] { wait->interrupt(); });
  start(request, run_set_lock(request, hold(info), lock, wait));
}

void on_setlk(fuse_req_t req, fuse_ino_t, fuse_file_info* info, struct flock* asked, int waits) {
  set_lock(req, info, to_lock(*info, *asked), waits != 0);
}

void on_flock(fuse_req_t req, fuse_ino_t, fuse_file_info* info, int operation) {
  vfs::FileLock lock;
  lock.owner = info->lock_owner;
  lock.whole_file = true;
  lock.end = kLastLockByte;
  lock.pid = static_cast<std::uint32_t>(fuse_req_ctx(req)->pid);
  const int what = operation & ~LOCK_NB;
  lock.type = what == LOCK_UN ? F_UNLCK : what == LOCK_EX ? F_WRLCK : F_RDLCK;
  set_lock(req, info, lock, (operation & LOCK_NB) == 0 && lock.type != F_UNLCK);
}

}  // namespace

void add_lock_handlers(fuse_lowlevel_ops& handlers) {
  handlers.getlk = on_getlk;
  handlers.setlk = on_setlk;
  handlers.flock = on_flock;
}

}  // namespace foliofs::fuse
