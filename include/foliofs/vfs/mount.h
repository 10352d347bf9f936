// Mount: one remote share as this client sees it. Everything hangs off it; there are no globals.
//
// This header is what control/ and cli/ see: statistics, live options, invalidation, draining. The
// filesystem operations are in operations.h.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "foliofs/base/clock.h"
#include "foliofs/cache/cache.h"
#include "foliofs/rpc/session.h"
#include "foliofs/vfs/mount_options.h"

namespace foliofs::vfs {

struct Inode;
class Operations;

struct Caller {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;
  bool operator==(const Caller&) const = default;
};

struct MountStats {
  cache::CacheStats cache;
  rpc::RpcStats rpc;
  rpc::ConnectionState connection{};
  std::uint64_t inodes = 0;
  std::uint64_t inode_bytes = 0;  // memory that they take, roughly
  std::uint64_t open_files = 0;
  std::uint64_t idle_opens = 0;     // kept at the server, used by nobody
  std::uint64_t leases = 0;         // held
  std::uint64_t lease_recalls = 0;  // messages from the server
};

// A node as the kernel knows it.
struct KernelNode {
  std::uint64_t id = 0;    // FUSE node id
  bool directory = false;  // the kernel may keep its listing
};

// A name as the kernel knows it.
struct KernelName {
  std::uint64_t parent_id = 0;  // FUSE node id of the directory
  std::string name;
  // The directory is no longer under this name. Expiring it is not enough: on finding the directory
  // elsewhere the kernel would have to move its one dentry, which fails with ESTALE during a
  // concurrent rename. So the entry is dropped.
  bool lost_directory = false;
  bool operator==(const KernelName&) const = default;
};

// A file as the kernel remembers it.
struct KernelFile {
  std::uint64_t id = 0;  // FUSE node id
  KernelName name;       // under which it was found last
  bool directory = false;
};

// The kernel above the mount, as far as vfs must reach it. Implemented by fuse/, faked in tests.
class Kernel {
 public:
  virtual ~Kernel() = default;
  // As cache::KernelPages::invalidate, for the inode with this FUSE node id.
  virtual Task<void> invalidate_pages(std::uint64_t node_id, ByteRange range) = 0;

  // Tells the kernel that the file goes on to `size`, where its last byte is `last`. Code that must
  // not wait for invalidate_pages() must not wait for this either.
  virtual Task<void> extend(std::uint64_t node_id, std::uint64_t size, std::byte last) = 0;

  // Makes the kernel ask before it believes these nodes' attributes and ACLs again, and for a
  // directory also the listing that it keeps. Waits for no lock that a request holds.
  virtual Task<void> expire_attributes(std::vector<KernelNode> nodes) = 0;
  // The same for names. The kernel locks their directory for it, as it does for requests that
  // change the directory. So code on which the answer to such a request depends must not wait for
  // this.
  virtual Task<void> expire_names(std::vector<KernelName> names) = 0;
  // Whether a name that was expired stays, and is only asked for at its next use. Otherwise the
  // kernel drops it, and with it what is mounted on it.
  virtual bool keeps_expired_names() const = 0;
  // Whether expire_names() reaches names that the kernel was told are not there.
  virtual bool expires_absent_names() const = 0;

  // Asks the kernel to forget files that nothing uses, which ends in forget() of their nodes; files
  // that it needs stay. It may wait for whatever a request holds, so code on which the answer to a
  // request depends must not wait for this.
  virtual Task<void> forget(std::vector<KernelFile> files) = 0;
};

class Mount {
 public:
  // `session` has been started. All references must outlive the mount.
  Mount(Executor executor, Clock& clock, rpc::Session& session, Kernel& kernel,
        MountOptions options, FaultPoints* faults = nullptr);
  ~Mount();

  Operations& operations();
  const MountOptions& options() const;
  MountStats stats() const;

  // Changes options of the live mount: all of them or, when one is refused, none. "invalidate"
  // takes effect between invalidations, "kernel_cache" for files that are opened afterwards. "poll"
  // and "log_level" belong to the process and are only recorded: the caller applies them.
  OptionResult set_live_options(std::span<const OptionPair> pairs);

  // `path` is relative to the root of the mount ("" is the root); symlinks are not followed.
  // `mode`: the mount's own if none is given. If nothing of the file is cached, the report has
  // zeros. A write error is in the report, not in the result. Errors: EISDIR, EINVAL when it is no
  // regular file. Names that are known here are not asked for. For others the server is asked, as
  // `caller`, but only to find out which file that is: ENOENT, EACCES …; ENOTCONN at once when the
  // server is away, ETIMEDOUT when it does not answer for some seconds.
  Task<Result<cache::InvalidateReport>> invalidate(Caller caller, std::string path,
                                                   std::optional<cache::InvalidateMode> mode,
                                                   bool flush);

  // Writes back everything dirty; tells `progress` how many bytes are left. Returns the first
  // error.
  Task<Status> drain(std::function<void(std::uint64_t dirty_bytes)> progress);

  // After the kernel has unmounted: drains, closes what is open, ends the background tasks.
  Task<Status> shut_down();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace foliofs::vfs
