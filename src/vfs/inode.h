// Inode: one file of the server as this client knows it, and the opens through which it is read
// and written.
//
// Lives as long as the kernel knows its node, somebody has it open, or bytes or attributes of it
// are not written.
#pragma once

#include <fcntl.h>

#include <boost/intrusive/list_hook.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attribute_writeback.h"
#include "foliofs/base/clock.h"
#include "foliofs/base/lazy.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/cache/mapping.h"
#include "foliofs/proto/open_flags.h"
#include "foliofs/vfs/operations.h"
#include "inode_locks.h"
#include "kernel_view.h"
#include "leases.h"
#include "refilled_pages.h"
#include "replaced_bytes.h"

namespace foliofs::vfs {

class InodeIo;
struct ServerOpen;

using HandleBytes = std::vector<std::uint8_t>;

// Extended attributes that a file was found not to have, at a version of it. What this client sets
// empties it.
struct AbsentXattrs {
  FileVersion version;
  bool all_security = false;  // no ACL, and nothing that begins with `security.`
  std::vector<std::string> names;
};

// A listing has shown a file under a name (name_key): when it was asked for, by the clock and by
// MountCore::logical_time.
struct ListedName {
  std::size_t name = 0;
  TimePoint at{};
  std::uint64_t asked_at = 0;
};

// How often names of a directory that the kernel knows were looked up again, since `since` and
// without a change of ours to it.
struct NameLookups {
  std::uint64_t changed_at = 0;
  TimePoint since{};
  std::uint32_t count = 0;
  bool listing = false;  // is under way in place of a lookup
  bool listing_is_useless = false;
};

// Attributes that are believed for as long as their lease is held.
inline constexpr TimePoint kWhileLeased = TimePoint::max();

// The place in the order in which inodes were used last (forgetting.h).
using InodeByUse =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// There may be a million of them: what few need is behind a pointer.
struct Inode : InodeByUse {
  NodeId node = 0;
  HandleBytes handle;
  std::uint64_t handle_incarnation = 0;  // of the session that gave it
  std::uint64_t lookups = 0;             // references that the kernel holds
  std::uint32_t open_count = 0;  // OpenFiles, and files that could not be written at their release
  std::uint32_t counted_bytes = 0;  // as InodeTable has counted it

  // Where it was last found, to look it up again when the server has lost its handle.
  NodeId parent = 0;
  std::string name;
  FileVersion named_version;      // at which it was found there
  std::uint32_t named_links = 0;  // how many names it may have in the kernel's memory

  Lease lease;
  std::uint64_t named_under = 0;  // the parent's lease that covers `name`; 0: none

  Attributes attributes;  // the latest from the server
  TimePoint attributes_expire{};
  // At what MountCore::logical_time this client last changed the file: attributes that were asked
  // for before are not believed.
  std::uint64_t changed_at = 0;
  KernelView kernel;
  ListedName listed;
  Lazy<NameLookups> name_lookups;  // of a directory
  // What the cached data belongs to: compared with what the server says next.
  Lazy<Attributes> cached_version;
  // Invalidations under way because somebody else has changed the file. OPEN, LOOKUP and GETATTR
  // wait until there is none; what the kernel waits for while it drops pages must not.
  std::uint32_t revalidating = 0;
  WaitQueue revalidated;

  // Before the next READ or GETATTR the server is asked where the file ends now: somebody has asked
  // for an invalidation, or the answer that told of a foreign change was overtaken by one of our
  // own, or could not be taken over while the server was being told of one.
  bool size_unknown = false;

  std::shared_ptr<InodeIo> io;              // of regular files, once opened
  std::shared_ptr<cache::Mapping> mapping;  // likewise

  // While a WRITE may come that began before the kernel's pages were last dropped; else nullptr.
  std::unique_ptr<RefilledPages> refilled;
  // What WRITEs have replaced in such pages that the kernel has not dropped yet.
  Lazy<ReplacedBytesOfFile> replaced;

  // The server's verifier at the latest WRITE that has not been followed by a COMMIT: once it says
  // another one, those bytes may be lost.
  std::optional<std::uint64_t> uncommitted;
  std::uint64_t writes_acknowledged = 0;

  std::int64_t local_mtime_ns = 0;  // of the latest store here, or as it was set since
  // local_mtime_ns has been shown by getattr: the server must get the same time in the end.
  bool mtime_shown = false;

  Lazy<DirtyAttributes> dirty_attributes;

  // Somebody without CAP_FSETID has stored bytes: the WRITE that brings them to the server takes
  // the set-id bits away, although a privileged open may be what it goes through.
  bool kill_privileges = false;

  AbsentXattrs absent_xattrs;

  Lazy<InodeLocks> locks;

  // Of a released file whose bytes could not be written: through it they are tried again.
  std::shared_ptr<ServerOpen> kept_open;
  // The last FLUSH returned an error, and the bytes are still dirty: that they cannot be written is
  // no news to whoever opens the file next.
  bool told_of_failure = false;

  // Before an ESTALE, on which the kernel looks the path up anew: not in a listing then.
  void forget_listed() { listed = {}; }

  bool dirty() const { return mapping && mapping->dirty_bytes() != 0; }
};

using InodeRef = std::shared_ptr<Inode>;

// An open of the server's, as one of its sessions knows it.
struct ServerOpen {
  std::uint64_t id = 0;
  std::uint64_t incarnation = 0;  // of the session that `id` belongs to
  // What of open(2)'s flags concerns the server; the rest is the kernel's or ours.
  static constexpr int kFlags = O_ACCMODE | proto::kOpenToExecute;
  int flags = 0;  // of those
  Caller opener;  // for opening it again in another session
  // What MountCore::logical_time was when it was asked for, and the lease of the file that was held
  // then; 0: none.
  std::uint64_t asked_at = 0;
  std::uint64_t lease = 0;
  bool reopening = false;
  // Somebody else has taken a lock that was held through it: what was read or written under it
  // cannot be relied on, and everything through this open says EIO from then on.
  bool locks_lost = false;
  // Requests under way that name it: the server may take them in any order, so CLOSE waits for
  // them.
  std::uint32_t requests = 0;
  WaitQueue requests_ended;

  bool readable() const;
  bool writable() const;
};

// One request that names an open, for as long as it is under way.
class ServerOpenRequest {
 public:
  explicit ServerOpenRequest(std::shared_ptr<ServerOpen> open) : open_(std::move(open)) {
    ++open_->requests;
  }
  ~ServerOpenRequest() {
    if (--open_->requests == 0) open_->requests_ended.wake_all();
  }
  ServerOpenRequest(const ServerOpenRequest&) = delete;
  ServerOpenRequest& operator=(const ServerOpenRequest&) = delete;

 private:
  const std::shared_ptr<ServerOpen> open_;
};

// A change under way that may make a file longer. The kernel learns of that from the answer, so
// nobody else tells it of an end meanwhile (MountCore::tell_growth()).
class OwnGrowth {
 public:
  explicit OwnGrowth(InodeRef inode) : inode_(std::move(inode)) { ++inode_->kernel.growing; }
  ~OwnGrowth() { --inode_->kernel.growing; }
  OwnGrowth(const OwnGrowth&) = delete;
  OwnGrowth& operator=(const OwnGrowth&) = delete;

 private:
  const InodeRef inode_;
};

struct OpenFile : std::enable_shared_from_this<OpenFile> {
  InodeRef inode;
  std::shared_ptr<ServerOpen> server_open;
  cache::ErrCursor errors;
  cache::Readahead readahead;
  bool direct = false;        // O_DIRECT
  bool kernel_caches = true;  // the kernel keeps pages of what goes through this open
  bool fills_pages() const { return kernel_caches && !direct; }
};

struct OpenDirectory : std::enable_shared_from_this<OpenDirectory> {
  InodeRef inode;
  bool cached = false;  // the kernel keeps what it reads
};

}  // namespace foliofs::vfs
