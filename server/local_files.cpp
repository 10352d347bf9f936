// LocalStore: opening files, and reading and writing their data.
#include <sys/uio.h>

#include "foliofs/proto/open_flags.h"
#include "server/change_scope.h"
#include "server/credentials.h"
#include "server/local_calls.h"
#include "server/local_file.h"
#include "server/local_store.h"

namespace foliofs::server {

namespace {

// The open(2) flags that a client may set. The others would change how the server does its I/O:
// offsets come from the client, so O_APPEND must not override them, and O_DIRECT and O_SYNC are the
// client's own affair.
constexpr int kOpenFlags = O_ACCMODE | O_TRUNC;

}  // namespace

bool LocalFile::slow_to_close() const {
  struct statx info {};
  return look_at(fd(), info) && info.stx_nlink == 0 && holds_much(info);
}

Result<Opened> LocalStore::finish_open(const CallContext& context, UniqueFd fd, NodeRef node,
                                       Occasion occasion) {
  Opened opened;
  opened.handle = node->handle;
  BOOST_OUTCOME_TRY(opened.attributes,
                    attributes_of(context, fd.get(), *node->inode, node->handle, occasion));
  opened.file = std::make_shared<LocalFile>(std::move(fd), std::move(node), nodes_,
                                            occasion == Occasion::kCreated);
  return opened;
}

Result<Opened> LocalStore::open(const CallContext& context, HandleView file, int flags,
                                bool reclaim) {
  BOOST_OUTCOME_TRY(auto node, resolve_as(context, file));
  if (reclaim && (node->type != S_IFREG || (flags & O_TRUNC) != 0)) return Errno(EINVAL);
  return open_node(context, std::move(node), flags, reclaim);
}

namespace {

bool owns(const Identity& caller, int fd) {
  struct statx info {};
  return look_at(fd, info) && info.stx_uid == caller.uid;
}

}  // namespace

// An owner could change the mode anyway, so this grants nothing that the caller could not have had.
Result<UniqueFd> LocalStore::open_as_owner(const CallContext& context, const Node& node, int flags,
                                           bool override_mode) {
  UniqueFd fd = reopen(node.fd.get(), flags);
  if (fd) return fd;
  if (errno != EACCES || !override_mode || !owns(context.caller, node.fd.get())) {
    return last_errno();
  }
  BOOST_OUTCOME_TRYV(act_as_server());
  fd = reopen(node.fd.get(), flags);
  if (!fd) return last_errno();
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  return fd;
}

namespace {

// Whether the thread, with its current identity, may execute the file.
bool may_execute(const Node& node) {
  return node.type == S_IFREG &&
         ::faccessat(node.fd.get(), "", X_OK, AT_EACCESS | AT_EMPTY_PATH) == 0;
}

}  // namespace

// The client's kernel has to read a file to execute it; a local kernel reads it too, without
// checking for read permission.
Result<UniqueFd> LocalStore::open_to_execute(const CallContext& context, const Node& node) {
  if (!may_execute(node)) return Errno(EACCES);
  BOOST_OUTCOME_TRYV(act_as_server());
  UniqueFd fd = reopen(node.fd.get(), O_RDONLY);
  if (!fd) return last_errno();
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  return fd;
}

// Opens only files and directories: opening a fifo or a device would wait for, or do, something
// that has no place on a server.
Result<Opened> LocalStore::open_node(const CallContext& context, NodeRef node, int flags,
                                     bool reclaim) {
  if (node->type == S_IFLNK) return Errno(ELOOP);
  if (node->type != S_IFREG && node->type != S_IFDIR) return Errno(ENXIO);
  const bool truncates = (flags & O_TRUNC) != 0 && node->type == S_IFREG;
  const bool waits = context.waiting == Waiting::kAllowed;
  if (truncates && !waits) return Errno(EAGAIN);
  std::optional<ChangeScope> change;
  if (truncates) change.emplace(*this, *node, context);
  // With O_NONBLOCK the open fails with EWOULDBLOCK where it would first have to break a lease.
  const int how = (flags & kOpenFlags) | (waits ? 0 : O_NONBLOCK);
  auto fd = open_as_owner(context, *node, how, reclaim);
  const bool executes = (flags & proto::kOpenToExecute) != 0 && (how & ~O_NONBLOCK) == O_RDONLY;
  if (!fd && fd.error() == Errno(EACCES) && executes) fd = open_to_execute(context, *node);
  if (!fd) return fd.error();
  if (change) (void)change->finish(true);
  return finish_open(context, std::move(fd.value()), std::move(node), Occasion::kAsked);
}

Result<Opened> LocalStore::create_new(const CallContext& context, Node& parent, Name name,
                                      CreationMode mode, int flags) {
  ChangeScope change(*this, parent, context);
  const mode_t masked = apply_umask(parent.fd.get(), mode);
  UniqueFd fd = with_descriptor([&] {
    return ::openat(parent.fd.get(), name.c_str(),
                    (flags & kOpenFlags) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    masked & 07777);
  });
  if (!fd) return last_errno();
  auto created = [&]() -> Result<Opened> {
    BOOST_OUTCOME_TRY(auto node, adopt(reopen(fd.get(), O_PATH)));
    BOOST_OUTCOME_TRY(auto result,
                      finish_open(context, std::move(fd), std::move(node), Occasion::kCreated));
    result.created = true;
    return result;
  }();
  if (!created) remove_again(parent, name, fd.get());
  auto parent_attributes = change.finish(true, {name.c_str()});
  if (created && parent_attributes) created.value().parent = parent_attributes.value();
  return created;
}

// For a creation that failed later, because a request that fails must leave no change. Another
// process may have put another file there meanwhile.
void LocalStore::remove_again(const Node& parent, Name name, int fd) const {
  struct stat made {};
  struct stat there {};
  if (::fstat(fd, &made) != 0) return;
  if (::fstatat(parent.fd.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (made.st_ino != there.st_ino || made.st_dev != there.st_dev) return;
  ::unlinkat(parent.fd.get(), name.c_str(), 0);
}

Result<Opened> LocalStore::create(const CallContext& context, HandleView parent, Name name,
                                  CreationMode mode, int flags) {
  BOOST_OUTCOME_TRY(auto directory, resolve_as(context, parent));
  BOOST_OUTCOME_TRY(auto held, name_locks_.hold(context.waiting, directory->id, name));
  // Other processes may create and remove the name on the disk between our two steps, but not for
  // ever.
  for (int tries = 0; tries < 8; ++tries) {
    auto made = create_new(context, *directory, name, mode, flags);
    if (made || made.error() != Errno(EEXIST) || (flags & O_EXCL) != 0) return made;
    auto fd = open_child(directory->fd.get(), name.c_str());
    if (!fd && fd.error() == Errno(ENOENT)) continue;
    if (!fd) return fd.error();
    BOOST_OUTCOME_TRY(auto node, adopt(std::move(fd.value())));
    if (node->type == S_IFDIR) return Errno(EISDIR);
    BOOST_OUTCOME_TRYV(may_look_at(context, *node->inode));
    held = NameLocks::Held();  // opening may take long, and the name does not matter any more
    return open_node(context, std::move(node), flags);
  }
  return Errno(EBUSY);
}

Result<std::size_t> LocalStore::read(const CallContext& context, OpenFile& file,
                                     std::uint64_t offset, std::span<std::byte> into) {
  auto& local = static_cast<LocalFile&>(file);
  if (!in_file_range(offset, into.size())) return Errno(EINVAL);
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  const bool waits = context.waiting == Waiting::kAllowed || filesystem_.in_memory;
  const int flags = waits ? 0 : RWF_NOWAIT;
  std::size_t done = 0;
  while (done < into.size()) {
    iovec part{into.data() + done, into.size() - done};
    const ssize_t got = ::preadv2(local.fd(), &part, 1, static_cast<off_t>(offset + done), flags);
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (got == 0) {
      return done;
    } else if (errno == EINTR) {
      continue;
    } else if (!waits && (errno == EAGAIN || errno == EOPNOTSUPP)) {
      return done > 0 ? Result<std::size_t>(done) : Errno(EAGAIN);
    } else {
      return last_errno();
    }
  }
  return done;
}

namespace {

Status write_all(int fd, std::uint64_t offset, std::span<const std::byte> data,
                 ChangeScope& scope) {
  while (!data.empty()) {
    const ssize_t put = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return last_errno();
    if (put == 0) return Errno(EIO);
    scope.touched();
    data = data.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return success();
}

// The opener may be allowed to write without owning the file, but only an owner may set a time, so
// the server then sets it on the opener's behalf. A server without that privilege leaves it: the
// bytes are written, and the reply shows the time that the file has.
Status set_mtime(int fd, std::int64_t mtime_ns) {
  const auto refused = [] {
    return errno == EPERM || errno == EACCES;
  };
  const timespec times[2] = {{0, UTIME_OMIT}, to_timespec(mtime_ns)};
  if (::futimens(fd, times) == 0) return success();
  if (!refused()) return last_errno();
  BOOST_OUTCOME_TRYV(act_as_server());
  if (::futimens(fd, times) != 0 && !refused()) return last_errno();
  return success();
}

// Starts early what the kernel would do sooner or later: writing the data to disk. If that fails,
// the fsync(2) at the end reports why.
void begin_writeout(LocalFile& file, std::span<const WritePiece> pieces) {
  for (const auto& [offset, data] : pieces) {
    const auto begun = file.stream().wrote(ByteRange::of(offset, data.size()));
    if (!begun) continue;
    (void)::sync_file_range(file.fd(), static_cast<off64_t>(begun->begin),
                            static_cast<off64_t>(begun->size()), SYNC_FILE_RANGE_WRITE);
  }
}

}  // namespace

Result<wire::Attributes> LocalStore::write(const CallContext& context, OpenFile& file,
                                           std::span<const WritePiece> pieces,
                                           const AttributeChanges& changes) {
  auto& local = static_cast<LocalFile&>(file);
  for (const auto& [offset, data] : pieces) {
    if (!in_file_range(offset, data.size())) return Errno(EFBIG);
  }
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  ChangeScope change(*this, local.fd(), local.inode(), context);
  BOOST_OUTCOME_TRYV(change_owner_and_mode(local.fd(), changes, change));
  for (const auto& [offset, data] : pieces) {
    BOOST_OUTCOME_TRYV(write_all(local.fd(), offset, data, change));
  }
  if (context.waiting == Waiting::kAllowed) begin_writeout(local, pieces);
  AttributeChanges access = changes;
  access.valid &= proto::kSetAtime;
  BOOST_OUTCOME_TRYV(change_times(local.fd(), access));
  if (access.valid != 0) change.touched();
  if ((changes.valid & proto::kSetMtime) != 0) {
    BOOST_OUTCOME_TRYV(set_mtime(local.fd(), changes.mtime_ns));
  }
  return change.finish(true);
}

void LocalStore::end_exclusive(const CallContext& context, OpenFile& file) {
  auto& local = static_cast<LocalFile&>(file);
  if (context.holder != nullptr && local.has_made_it())
    local.inode().end_exclusive(*context.holder);
}

Result<wire::Attributes> LocalStore::commit(const CallContext& context, OpenFile& file,
                                            bool data_only) {
  auto& local = static_cast<LocalFile&>(file);
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  const int failed = data_only ? ::fdatasync(local.fd()) : ::fsync(local.fd());
  if (failed != 0) return last_errno();
  return attributes_of(context, local);
}

}  // namespace foliofs::server
