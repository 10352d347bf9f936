// The handlers of names, attributes and files: each translates one request for vfs::Operations and
// answers it. If what the client already knows is enough, the handler answers at once (try_*);
// otherwise a coroutine goes on with the request.
#include "handlers.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "foliofs/base/limits.h"
#include "foliofs/base/unix_time.h"
#include "fuse_types.h"
#include "request.h"

namespace foliofs::fuse {

namespace {

vfs::Operations& operations_of(fuse_req_t request) {
  return context_of(request).mount->operations();
}

// Answers with an entry. If the reply does not reach the kernel, gives the entry's reference back.
void finish_entry(const RequestRef& request, const Result<vfs::Entry>& entry) {
  if (!entry) {
    request->reply(entry.error());
  } else if (!request->reply_entry(entry.value()) && entry.value().node != 0) {
    request->operations().forget(entry.value().node, 1);
  }
}

// --- Names --------------------------------------------------------------------------------------

Task<void> run_lookup(RequestRef request, vfs::NodeId parent, std::string name) {
  finish_entry(request, co_await request->operations().lookup(request->call(), parent, name));
}
void on_lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  if (auto known = operations_of(req).try_lookup(parent, name)) {
    const fuse_entry_param param = to_entry(*known);
    if (fuse_reply_entry(req, &param) != 0) operations_of(req).forget(known->node, 1);
    return;
  }
  auto request = Request::make(req);
  start(request, run_lookup(request, parent, name));
}

void on_forget(fuse_req_t req, fuse_ino_t node, std::uint64_t count) {
  operations_of(req).forget(node, count);
  fuse_reply_none(req);
}
void on_forget_multi(fuse_req_t req, std::size_t count, fuse_forget_data* forgets) {
  for (std::size_t i = 0; i < count; ++i) {
    operations_of(req).forget(forgets[i].ino, forgets[i].nlookup);
  }
  fuse_reply_none(req);
}

Task<void> run_mknod(RequestRef request, vfs::NodeId parent, std::string name, mode_t mode,
                     dev_t rdev) {
  finish_entry(request,
               co_await request->operations().mknod(request->call(), parent, name, mode, rdev));
}
void on_mknod(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev) {
  auto request = Request::make(req);
  start(request, run_mknod(request, parent, name, mode, rdev));
}

Task<void> run_mkdir(RequestRef request, vfs::NodeId parent, std::string name, mode_t mode) {
  finish_entry(request, co_await request->operations().mkdir(request->call(), parent, name, mode));
}
void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  auto request = Request::make(req);
  start(request, run_mkdir(request, parent, name, mode));
}

Task<void> run_symlink(RequestRef request, std::string target, vfs::NodeId parent,
                       std::string name) {
  finish_entry(request,
               co_await request->operations().symlink(request->call(), parent, name, target));
}
void on_symlink(fuse_req_t req, const char* target, fuse_ino_t parent, const char* name) {
  auto request = Request::make(req);
  start(request, run_symlink(request, target, parent, name));
}

Task<void> run_link(RequestRef request, vfs::NodeId node, vfs::NodeId parent, std::string name) {
  finish_entry(request, co_await request->operations().link(request->call(), node, parent, name));
}
void on_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent, const char* name) {
  auto request = Request::make(req);
  start(request, run_link(request, node, parent, name));
}

Task<void> run_unlink(RequestRef request, vfs::NodeId parent, std::string name, bool directory) {
  request->reply(co_await request->operations().unlink(request->call(), parent, name, directory));
}
void on_unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  auto request = Request::make(req);
  start(request, run_unlink(request, parent, name, false));
}
void on_rmdir(fuse_req_t req, fuse_ino_t parent, const char* name) {
  auto request = Request::make(req);
  start(request, run_unlink(request, parent, name, true));
}

Task<void> run_rename(RequestRef request, vfs::NodeId parent, std::string name,
                      vfs::NodeId new_parent, std::string new_name, unsigned flags) {
  request->reply(co_await request->operations().rename(request->call(), parent, name, new_parent,
                                                       new_name, flags));
}
void on_rename(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
               const char* new_name, unsigned flags) {
  auto request = Request::make(req);
  start(request, run_rename(request, parent, name, new_parent, new_name, flags));
}

Task<void> run_readlink(RequestRef request, vfs::NodeId node) {
  auto target = co_await request->operations().readlink(request->call(), node);
  target ? request->reply_link(target.value()) : request->reply(target.error());
}
void on_readlink(fuse_req_t req, fuse_ino_t node) {
  auto request = Request::make(req);
  start(request, run_readlink(request, node));
}

// --- Attributes ---------------------------------------------------------------------------------

void finish_attributes(const RequestRef& request, vfs::NodeId node,
                       const Result<vfs::Attributes>& attributes) {
  if (!attributes) {
    request->reply(attributes.error());
  } else {
    request->reply_attributes(attributes.value(), request->operations().attribute_timeout_us(node));
  }
}

Task<void> run_getattr(RequestRef request, vfs::NodeId node, vfs::OpenFileRef file) {
  finish_attributes(request, node,
                    co_await request->operations().getattr(request->call(), node, file));
}
void on_getattr(fuse_req_t req, fuse_ino_t node, fuse_file_info* info) {
  if (auto known = operations_of(req).try_getattr(node, info == nullptr)) {
    const struct stat stat = to_stat(*known);
    fuse_reply_attr(req, &stat, to_seconds(operations_of(req).attribute_timeout_us(node)));
    return;
  }
  auto request = Request::make(req);
  start(request, run_getattr(request, node, hold(info)));
}

vfs::AttributeChange to_change(const struct stat& stat, int to_set) {
  auto ns = [](const timespec& time) {
    return to_ns(time.tv_sec, time.tv_nsec);
  };
  const std::pair<int, std::uint32_t> bits[] = {{FUSE_SET_ATTR_MODE, proto::kSetMode},
                                                {FUSE_SET_ATTR_UID, proto::kSetUid},
                                                {FUSE_SET_ATTR_GID, proto::kSetGid},
                                                {FUSE_SET_ATTR_SIZE, proto::kSetSize},
                                                {FUSE_SET_ATTR_ATIME, proto::kSetAtime},
                                                {FUSE_SET_ATTR_MTIME, proto::kSetMtime},
                                                {FUSE_SET_ATTR_ATIME_NOW, proto::kSetAtimeNow},
                                                {FUSE_SET_ATTR_MTIME_NOW, proto::kSetMtimeNow}};
  vfs::AttributeChange change;
  for (auto [fuse_bit, our_bit] : bits) {
    if ((to_set & fuse_bit) != 0) change.valid |= our_bit;
  }
  // For "now" the kernel sets the plain bit too. The server's clock is meant, so only the "now" bit
  // stays.
  if ((change.valid & proto::kSetAtimeNow) != 0) change.valid &= ~proto::kSetAtime;
  if ((change.valid & proto::kSetMtimeNow) != 0) change.valid &= ~proto::kSetMtime;
  change.mode = stat.st_mode;
  change.uid = stat.st_uid;
  change.gid = stat.st_gid;
  change.size = static_cast<std::uint64_t>(stat.st_size);
  change.atime_ns = ns(stat.st_atim);
  change.mtime_ns = ns(stat.st_mtim);
  return change;
}

Task<void> run_setattr(RequestRef request, vfs::NodeId node, vfs::AttributeChange change,
                       vfs::OpenFileRef file) {
  auto attributes = co_await request->operations().setattr(request->call(), node, change, file);
  if (attributes) {
    // The kernel takes over the attributes in a reply to SETATTR even if they were expired before
    // it came. So they get no lifetime.
    request->reply_attributes(attributes.value(), std::chrono::microseconds(0));
  } else {
    request->reply(attributes.error());
  }
}
void on_setattr(fuse_req_t req, fuse_ino_t node, struct stat* stat, int to_set,
                fuse_file_info* info) {
  auto request = Request::make(req);
  vfs::AttributeChange change = to_change(*stat, to_set);
  if (context_of(req).kills_privileges) change.valid |= proto::kSetKillPrivileges;
  start(request, run_setattr(request, node, change, hold(info)));
}

Task<void> run_statfs(RequestRef request, vfs::NodeId node) {
  auto stats = co_await request->operations().statfs(request->call(), node);
  stats ? request->reply_statfs(stats.value()) : request->reply(stats.error());
}
void on_statfs(fuse_req_t req, fuse_ino_t node) {
  auto request = Request::make(req);
  start(request, run_statfs(request, node == 0 ? vfs::kRootNode : node));
}

// --- Files --------------------------------------------------------------------------------------

Task<void> run_open(RequestRef request, vfs::NodeId node, fuse_file_info info) {
  auto opened = co_await request->operations().open(request->call(), node, info.flags);
  if (!opened) {
    request->reply(opened.error());
  } else if (!request->reply_open(opened.value(), info)) {
    co_await request->operations().release(opened.value().file.get());
  }
}
void on_open(fuse_req_t req, fuse_ino_t node, fuse_file_info* info) {
  FuseContext& context = context_of(req);
  vfs::Operations& operations = operations_of(req);
  auto caller = [&] {
    return caller_of(context, req);
  };
  if (auto opened = operations.try_open(caller, fuse_req_ctx(req)->pid, node, info->flags)) {
    describe_open(*opened, *info);
    if (fuse_reply_open(req, info) == 0) return;
    spawn(context.executor, "release", operations.release(opened->file.get()));
    return;
  }
  auto request = Request::make(req);
  start(request, run_open(request, node, *info));
}

Task<void> run_create(RequestRef request, vfs::NodeId parent, std::string name, mode_t mode,
                      fuse_file_info info) {
  auto created =
      co_await request->operations().create(request->call(), parent, name, mode, info.flags);
  if (!created) {
    request->reply(created.error());
  } else if (!request->reply_create(created.value(), info)) {
    co_await request->operations().release(created.value().opened.file.get());
    request->operations().forget(created.value().entry.node, 1);
  }
}
void on_create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode,
               fuse_file_info* info) {
  auto request = Request::make(req);
  start(request, run_create(request, parent, name, mode, *info));
}

Task<void> run_read(RequestRef request, vfs::OpenFileRef file, std::uint64_t offset,
                    std::size_t length) {
  auto result = co_await request->operations().read(file, offset, length);
  result ? request->reply_data(result.value()) : request->reply(result.error());
}
void on_read(fuse_req_t req, fuse_ino_t, std::size_t length, off_t offset, fuse_file_info* info) {
  const auto at = static_cast<std::uint64_t>(offset);
  cache::ReadResult result;
  if (operations_of(req).try_read(file_of(info), at, length, result)) {
    fuse_reply_iov(req, result.parts.data(), static_cast<int>(result.parts.size()));
    return;
  }
  auto request = Request::make(req);
  start(request, run_read(request, hold(info), at, length));
}

vfs::SyncWrite sync_of(int flags) {
  if ((flags & O_SYNC) == O_SYNC) return vfs::SyncWrite::kFile;
  return (flags & O_DSYNC) != 0 ? vfs::SyncWrite::kData : vfs::SyncWrite::kNo;
}

Task<void> run_write(RequestRef request, vfs::OpenFileRef file, vfs::Store store,
                     std::vector<std::byte> data) {
  store.data = data;
  auto status = co_await request->operations().write(request->call(), file, store);
  status ? request->reply_written(data.size()) : request->reply(status.error());
}
void on_write(fuse_req_t req, fuse_ino_t, const char* bytes, std::size_t length, off_t offset,
              fuse_file_info* info) {
  vfs::Store store;
  store.offset = static_cast<std::uint64_t>(offset);
  store.data = {reinterpret_cast<const std::byte*>(bytes), length};
  if (info->writepage != 0) store.source = cache::WriteSource::kPageWriteback;
  store.append = (info->flags & O_APPEND) != 0;  // fcntl(2) may have changed it
  store.sync = sync_of(info->flags);
  store.kill_privileges = context_of(req).kills_privileges;
  if (operations_of(req).try_write(file_of(info), store)) {
    fuse_reply_write(req, length);
    return;
  }
  auto request = Request::make(req);
  std::vector<std::byte> data(store.data.begin(), store.data.end());
  start(request, run_write(request, hold(info), store, std::move(data)));
}

Task<void> run_flush(RequestRef request, vfs::OpenFileRef file, std::uint64_t lock_owner) {
  request->reply(co_await request->operations().flush(file, lock_owner));
}
void on_flush(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
  if (operations_of(req).try_flush(file_of(info), info->lock_owner)) {
    fuse_reply_err(req, 0);
    return;
  }
  auto request = Request::make(req);
  start(request, run_flush(request, hold(info), info->lock_owner));
}

Task<void> run_fsync(RequestRef request, vfs::OpenFileRef file, bool data_only) {
  request->reply(co_await request->operations().fsync(file, data_only));
}
void on_fsync(fuse_req_t req, fuse_ino_t, int data_only, fuse_file_info* info) {
  auto request = Request::make(req);
  start(request, run_fsync(request, hold(info), data_only != 0));
}

Task<void> run_release(RequestRef request, vfs::OpenFile* file) {
  co_await request->operations().release(file);
  request->reply(success());
}
void on_release(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
  auto request = Request::make(req);
  start(request, run_release(request, file_of(info)));
}

// --- The session --------------------------------------------------------------------------------

void on_init(void* userdata, fuse_conn_info* connection) {
  constexpr unsigned kWanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
                               FUSE_CAP_READDIRPLUS | FUSE_CAP_EXPLICIT_INVAL_DATA |
                               FUSE_CAP_POSIX_ACL | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS |
                               FUSE_CAP_DONT_MASK |
                               FUSE_CAP_CACHE_SYMLINKS;  // another target is another inode
  // ATOMIC_O_TRUNC: without it a truncating open sends a SETATTR, whose handler does the
  // truncation. WRITEBACK_CACHE: the kernel's write cache ignores the server's sizes and times.
  // ASYNC_DIO: after an asynchronous direct write the kernel would not drop the pages that were
  // read meanwhile.
  constexpr unsigned kUnwanted = FUSE_CAP_ASYNC_DIO | FUSE_CAP_READDIRPLUS_AUTO |
                                 FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE |
                                 FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ |
                                 FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;
  connection->want |= kWanted & connection->capable;
  connection->want &= ~kUnwanted;
  connection->max_write = kMaxPayloadBytes;
  connection->max_background = 256;
  connection->congestion_threshold = 192;
  connection->time_gran = 1;
  static_cast<FuseContext*>(userdata)->expires_names =
      (connection->capable & FUSE_CAP_EXPIRE_ONLY) != 0;
}

}  // namespace

fuse_lowlevel_ops make_handlers() {
  fuse_lowlevel_ops handlers{};
  handlers.init = on_init;
  handlers.lookup = on_lookup;
  handlers.forget = on_forget;
  handlers.forget_multi = on_forget_multi;
  handlers.mknod = on_mknod;
  handlers.mkdir = on_mkdir;
  handlers.symlink = on_symlink;
  handlers.link = on_link;
  handlers.unlink = on_unlink;
  handlers.rmdir = on_rmdir;
  handlers.rename = on_rename;
  handlers.readlink = on_readlink;
  handlers.getattr = on_getattr;
  handlers.setattr = on_setattr;
  handlers.statfs = on_statfs;
  handlers.open = on_open;
  handlers.create = on_create;
  handlers.read = on_read;
  handlers.write = on_write;
  handlers.flush = on_flush;
  handlers.fsync = on_fsync;
  handlers.release = on_release;
  add_directory_handlers(handlers);
  add_range_handlers(handlers);
  add_xattr_handlers(handlers);
  add_lock_handlers(handlers);
  return handlers;
}

}  // namespace foliofs::fuse
