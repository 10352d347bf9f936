// Inode: one file of the server as this client knows it.
//
// Lives as long as the kernel knows its node, somebody has it open, or bytes or attributes of it
// are not written.
#pragma once

#include <boost/intrusive/list_hook.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absent_xattrs.h"
#include "attribute_writeback.h"
#include "foliofs/base/clock.h"
#include "foliofs/base/lazy.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/cache/mapping.h"
#include "foliofs/vfs/operations.h"
#include "inode_locks.h"
#include "kernel_view.h"
#include "leases.h"
#include "refilled_pages.h"
#include "replaced_bytes.h"
#include "server_open.h"

namespace foliofs::vfs {

class InodeIo;

using HandleBytes = std::vector<std::uint8_t>;

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

  // Of a released file whose bytes could not be written: through it they are tried again
  // (open_files.h).
  std::shared_ptr<ServerOpen> kept_open;
  // The last FLUSH returned an error, and the bytes are still dirty: that they cannot be written is
  // no news to whoever opens the file next.
  bool told_of_failure = false;

  // Before an ESTALE, on which the kernel looks the path up anew: not in a listing then.
  void forget_listed() { listed = {}; }

  bool dirty() const { return mapping && mapping->dirty_bytes() != 0; }
  // Who asks for the attributes of such a file sees those that it will keep: they are written
  // first, as NFS does it.
  bool has_few_dirty_bytes() const {
    constexpr std::uint64_t kFew = 1 << 20;
    return dirty() && mapping->dirty_bytes() <= kFew;
  }
};

using InodeRef = std::shared_ptr<Inode>;

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
