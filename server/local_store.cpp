#include "server/local_store.h"

#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "foliofs/base/clock.h"
#include "server/change_scope.h"
#include "server/credentials.h"
#include "server/fd_path.h"
#include "server/local_calls.h"
#include "server/local_file.h"

namespace foliofs::server {

LocalStore::LocalStore(const LocalStoreOptions& options, UniqueFd root, UniqueFd proc_fds)
    : proc_fds_(std::move(proc_fds)),
      root_fd_(std::move(root)),
      signer_(options.secret, options.name + '\0' + options.path),
      nodes_(options.max_nodes) {}

Result<std::unique_ptr<FileStore>> LocalStore::open_tree(const LocalStoreOptions& options) {
  BOOST_OUTCOME_TRYV(act_as_server());
  UniqueFd root(::open(options.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return last_errno();
  UniqueFd proc_fds(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc_fds) return last_errno();

  std::unique_ptr<LocalStore> store(new LocalStore(options, std::move(root), std::move(proc_fds)));
  const int root_fd = store->root_fd_.get();
  auto kernel =
      options.handles == HandleKind::kAutomatic ? make_kernel_handles(root_fd) : Errno(EOPNOTSUPP);
  if (kernel) {
    store->handle_source_ = std::move(kernel.value());
  } else {
    store->handle_source_ = make_descriptor_handles();
    store->remark_ = fmt::format(
        "no lasting file handles here ({}); keeps up to {} descriptors instead, and clients look "
        "names up again after a restart",
        errno_text(kernel.error()), options.max_nodes);
  }
  struct statx info {};
  if (!look_at(root_fd, info)) return last_errno();
  store->root_device_ = id_of(info).device;
  store->filesystem_ = filesystem_traits(root_fd);
  store->security_xattrs_ = !store->filesystem_.remote && store->has_security_xattrs(root_fd);
  BOOST_OUTCOME_TRY(store->root_, store->adopt(store->reopen(root_fd, O_PATH)));
  return store;
}

void LocalStore::drop_idle() {
  if (handle_source_->can_reopen()) nodes_.drop_idle();
}

UniqueFd LocalStore::reopen(int fd, int flags) {
  return with_descriptor(
      [&] { return ::openat(proc_fds_.get(), FdName(fd).c_str(), flags | O_CLOEXEC | O_NOCTTY); });
}

Result<UniqueFd> LocalStore::open_child(int directory, const char* name) {
  // glibc has no openat2().
  struct open_how how {};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_NO_XDEV;
  UniqueFd fd = with_descriptor(
      [&] { return static_cast<int>(::syscall(SYS_openat2, directory, name, &how, sizeof how)); });
  if (!fd) return last_errno();
  return fd;
}

Result<Handle> LocalStore::identify(int fd) const {
  BOOST_OUTCOME_TRY(auto body, handle_source_->identify(fd));
  return signer_.seal(body);
}

Handle LocalStore::handle_in_use(int fd, const FileId& id) {
  if (auto known = nodes_.find(id)) return known->handle;
  if (!handle_source_->can_reopen()) return {};
  auto handle = identify(fd);
  return handle ? handle.value() : Handle();
}

Result<NodeRef> LocalStore::adopt(UniqueFd path_fd, const Handle* handle) {
  struct statx info {};
  if (!path_fd || !look_at(path_fd.get(), info)) return last_errno();
  const FileId id = id_of(info);
  if (auto known = nodes_.find(id)) return known;
  auto node = std::make_shared<Node>();
  if (handle != nullptr) {
    node->handle = *handle;
  } else {
    BOOST_OUTCOME_TRY(node->handle, identify(path_fd.get()));
  }
  node->fd = std::move(path_fd);
  node->id = id;
  node->type = info.stx_mode & S_IFMT;
  node->inode = inodes_.get(id);
  return nodes_.insert(std::move(node));
}

Result<NodeRef> LocalStore::find_node(HandleView handle) {
  if (auto known = nodes_.find(handle)) return known;
  BOOST_OUTCOME_TRY(const HandleView body, signer_.unseal(handle));
  BOOST_OUTCOME_TRYV(act_as_server());
  UniqueFd fd = with_descriptor([&] { return handle_source_->open(body); });
  if (!fd) return last_errno();
  const Handle whole(handle.begin(), handle.end());
  return adopt(std::move(fd), &whole);
}

Status LocalStore::may_look_at(const CallContext& context, Inode& inode) {
  if (!inode.is_kept_from(context.session)) return success();
  std::vector<LostLease> lost;
  if (context.recalls != nullptr) inode.take_exclusive(context.session, lost);
  if (!lost.empty()) {
    context.recalls->add(inode.shared_from_this(), inode.leased_handle(), lost, {});
  }
  return kLeaseHeld;
}

Result<NodeRef> LocalStore::resolve(const CallContext& context, HandleView handle) {
  BOOST_OUTCOME_TRY(auto node, find_node(handle));
  BOOST_OUTCOME_TRYV(may_look_at(context, *node->inode));
  return node;
}

Result<NodeRef> LocalStore::resolve_as(const CallContext& context, HandleView handle) {
  BOOST_OUTCOME_TRY(auto node, resolve(context, handle));
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  return node;
}

// --- Attributes --------------------------------------------------------------------------------

// One export may span several devices without crossing a mount (subvolumes, stacked filesystems),
// and inode numbers are unique only within each device.
std::uint64_t LocalStore::ino_of(const struct statx& info) const {
  const std::uint64_t device = id_of(info).device;
  if (device == root_device_) return info.stx_ino;
  return info.stx_ino ^ (device * 0x9e3779b97f4a7c15u);
}

wire::Attributes LocalStore::describe(const struct statx& info, ChangeCounts counts,
                                      std::uint32_t flags) const {
  // The file could change unnoticed through another name outside the tree.
  const bool has_other_names = info.stx_nlink > 1 && !S_ISDIR(info.stx_mode);
  if (has_other_names) flags &= ~std::uint32_t{proto::kLeased | proto::kExclusive};
  const std::uint64_t rdev = ::makedev(info.stx_rdev_major, info.stx_rdev_minor);
  const std::int64_t birth_ns = (info.stx_mask & STATX_BTIME) != 0 ? to_ns(info.stx_btime) : 0;
  return {ino_of(info),          info.stx_size,         info.stx_blocks,       rdev,
          to_ns(info.stx_atime), to_ns(info.stx_mtime), to_ns(info.stx_ctime), birth_ns,
          counts.foreign,        counts.epoch,          info.stx_mode,         info.stx_nlink,
          info.stx_uid,          info.stx_gid,          info.stx_blksize,      flags};
}

Result<wire::Attributes> LocalStore::attributes_of(const CallContext& context, int fd, Inode& inode,
                                                   HandleView handle, Occasion occasion) const {
  // The lease comes first, so that a call which changes the file after the look finds the lease.
  const bool leased = context.holder != nullptr && inode.lease_to(*context.holder, handle);
  if (occasion != Occasion::kAfterChange) {
    BOOST_OUTCOME_TRYV(may_look_at(context, inode));
  }
  struct statx info {};
  if (!look_at(fd, info)) return last_errno();
  if (leased && S_ISDIR(info.stx_mode)) inode.keep_returned_leases();
  const ChangeCounts counts = inode.observe(context.session, stamp_of(info), [&] {
    look_at(fd, info);
    return stamp_of(info);
  });
  std::uint32_t flags = leased ? std::uint32_t{proto::kLeased} : 0;
  // The flags are read after the version was observed, so they are true of that version or a later
  // one.
  if (occasion != Occasion::kAlongside && security_xattrs_) {
    const auto look = [&] {
      return security_flag(fd);
    };
    const std::int64_t ctime_ns = to_ns(info.stx_ctime);
    // tmpfs does not move ctime before Linux 6.1.
    flags |=
        filesystem_.in_memory ? look() : inode.xattr_flags(ctime_ns, SystemClock().wall_ns(), look);
  }
  const bool exclusive =
      occasion == Occasion::kCreated && leased && inode.make_exclusive(*context.holder);
  if (exclusive) flags |= proto::kExclusive;
  return describe(info, counts, flags);
}

Result<wire::Attributes> LocalStore::attributes_of(const CallContext& context,
                                                   const LocalFile& file, Occasion occasion) const {
  return attributes_of(context, file.fd(), file.inode(), file.node().handle, occasion);
}

Result<wire::Attributes> LocalStore::attributes(const CallContext& context, HandleView file) {
  BOOST_OUTCOME_TRY(auto node, resolve(context, file));
  BOOST_OUTCOME_TRY(auto attributes, attributes_of(context, *node, Occasion::kAsked));
  // The file was removed on the disk itself: do not keep its blocks there.
  if (attributes.nlink() == 0) nodes_.unlinked(node->id);
  return attributes;
}

Result<wire::Attributes> LocalStore::attributes(const CallContext& context, OpenFile& file) {
  auto& local = static_cast<LocalFile&>(file);
  return attributes_of(context, local, Occasion::kAsked);
}

Status LocalStore::change_owner_and_mode(int fd, const AttributeChanges& changes,
                                         ChangeScope& scope) const {
  if ((changes.valid & (proto::kSetUid | proto::kSetGid)) != 0) {
    const uid_t uid = (changes.valid & proto::kSetUid) != 0 ? changes.uid : static_cast<uid_t>(-1);
    const gid_t gid = (changes.valid & proto::kSetGid) != 0 ? changes.gid : static_cast<gid_t>(-1);
    if (::fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) return last_errno();
    scope.touched();
  }
  if ((changes.valid & proto::kSetMode) != 0) {
    if (::fchmodat(proc_fds_.get(), FdName(fd).c_str(), changes.mode & 07777, 0) != 0) {
      return last_errno();
    }
    scope.touched();
  }
  return success();
}

Status LocalStore::change_times(int fd, const AttributeChanges& changes) const {
  constexpr std::uint32_t kAny =
      proto::kSetAtime | proto::kSetMtime | proto::kSetAtimeNow | proto::kSetMtimeNow;
  if ((changes.valid & kAny) == 0) return success();
  auto chosen = [&](std::uint32_t set, std::uint32_t now, std::int64_t ns) {
    if ((changes.valid & now) != 0) return timespec{0, UTIME_NOW};
    if ((changes.valid & set) != 0) return to_timespec(ns);
    return timespec{0, UTIME_OMIT};
  };
  const timespec times[2] = {chosen(proto::kSetAtime, proto::kSetAtimeNow, changes.atime_ns),
                             chosen(proto::kSetMtime, proto::kSetMtimeNow, changes.mtime_ns)};
  if (::utimensat(fd, "", times, AT_EMPTY_PATH) != 0) return last_errno();
  return success();
}

Status LocalStore::change_size(Node& node, LocalFile* open, std::uint64_t size) const {
  if (node.type == S_IFDIR) return Errno(EISDIR);
  if (node.type != S_IFREG) return Errno(EINVAL);
  if (!in_file_range(size, 0)) return Errno(EFBIG);
  const auto length = static_cast<off_t>(size);
  const int failed = open != nullptr ? ::ftruncate(open->fd(), length)
                                     : ::truncate(FdPath(node.fd.get()).c_str(), length);
  if (failed != 0) return last_errno();
  return success();
}

Result<wire::Attributes> LocalStore::set_attributes(const CallContext& context, HandleView file,
                                                    OpenFile* open,
                                                    const AttributeChanges& changes) {
  BOOST_OUTCOME_TRY(auto node, resolve_as(context, file));
  const int fd = node->fd.get();
  auto* local = static_cast<LocalFile*>(open);
  if (local != nullptr && &local->inode() != node->inode.get()) return Errno(EINVAL);
  if ((changes.valid & proto::kSetMode) != 0 && node->type == S_IFLNK) return Errno(EOPNOTSUPP);

  ChangeScope change(*this, *node, context);
  BOOST_OUTCOME_TRYV(change_owner_and_mode(fd, changes, change));
  if ((changes.valid & proto::kSetSize) != 0) {
    BOOST_OUTCOME_TRYV(change_size(*node, local, changes.size));
    change.touched();
  }
  if ((changes.valid & proto::kSetKillPrivileges) != 0) {
    BOOST_OUTCOME_TRY(const bool taken, kill_set_id_bits(fd));
    if (taken) change.touched();
    BOOST_OUTCOME_TRYV(act_as(context.caller));
  }
  BOOST_OUTCOME_TRYV(change_times(fd, changes));
  return change.finish(true);
}

Result<Space> LocalStore::space(const CallContext& context, HandleView file) {
  // Nothing of the file itself is looked at, so no exclusive lease is in the way.
  BOOST_OUTCOME_TRY(auto node, find_node(file));
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  struct statvfs info {};
  if (::fstatvfs(node->fd.get(), &info) != 0) return last_errno();
  return Space{static_cast<std::uint32_t>(info.f_bsize),
               static_cast<std::uint32_t>(info.f_frsize),
               info.f_blocks,
               info.f_bfree,
               info.f_bavail,
               info.f_files,
               info.f_ffree,
               static_cast<std::uint32_t>(info.f_namemax)};
}

}  // namespace foliofs::server
