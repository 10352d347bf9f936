// Inode: one file of the server as this client knows it.
//
// Lives as long as the kernel knows its node, a program has it open, or bytes or attributes of it
// have not been written.
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

// A listing has shown a file under a name (name_key). `at` and `asked_at` say when the listing was
// asked for, by the clock and by MountCore::logical_time.
struct ListedName {
  std::size_t name = 0;
  TimePoint at{};
  std::uint64_t asked_at = 0;
};

// How often the kernel has looked up names of a directory that it already knew, since `since` and
// without a change to the directory by this client.
struct NameLookups {
  std::uint64_t changed_at = 0;
  TimePoint since{};
  std::uint32_t count = 0;
  bool listing = false;  // is under way in place of a lookup
  bool listing_is_useless = false;
};

// The expiry of attributes that are believed for as long as their lease is held.
inline constexpr TimePoint kWhileLeased = TimePoint::max();

// An inode's place in the order of last use (forgetting.h).
using InodeByUse =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// There may be a million inodes, so what few of them need is behind a pointer.
struct Inode : InodeByUse {
  NodeId node = 0;
  HandleBytes handle;
  std::uint64_t handle_incarnation = 0;  // of the session that gave it
  std::uint64_t lookups = 0;             // references that the kernel holds
  std::uint32_t open_count = 0;          // OpenFiles, OpenDirectories, and one for `kept_open`
  std::uint32_t counted_bytes = 0;       // as InodeTable has counted it; 0: dropped

  // Where the file was last found, to look it up again when the server has lost its handle.
  NodeId parent = 0;
  std::string name;
  FileVersion named_version;      // the version that was found there
  std::uint32_t named_links = 0;  // how many names of it the kernel may remember

  Lease lease;
  std::uint64_t named_under = 0;  // the parent's lease that covers `name`; 0: none

  Attributes attributes;  // the latest from the server
  TimePoint attributes_expire{};
  // The MountCore::logical_time at which this client last changed the file. Attributes that were
  // asked for earlier are not believed.
  std::uint64_t changed_at = 0;
  KernelView kernel;
  ListedName listed;
  Lazy<NameLookups> name_lookups;  // of a directory
  // The version that the cached data belongs to, to compare with what the server says next.
  Lazy<Attributes> cached_as_of;
  // Invalidations under way because somebody other than this client has changed the file. OPEN,
  // LOOKUP and GETATTR wait until there are none. Requests that the kernel waits for while it drops
  // pages must not.
  std::uint32_t revalidating = 0;
  WaitQueue revalidated;

  // The client must ask the server where the file ends before the next READ or GETATTR. Reasons: an
  // invalidation by the user; a change by this client overtook the answer that told of a foreign
  // change; or the mapping could not take the size in that answer because the server was just being
  // told of a change.
  bool size_unknown = false;

  std::shared_ptr<InodeIo> io;              // of regular files, once opened
  std::shared_ptr<cache::Mapping> mapping;  // likewise

  // Exists while a WRITE may come that began before the kernel's pages were last dropped.
  std::unique_ptr<RefilledPages> refilled;
  // What WRITEs have replaced in refilled pages that the kernel has not dropped yet.
  Lazy<ReplacedBytesOfFile> replaced;

  // The server's verifier at the latest WRITE that no COMMIT has followed. Once the server gives
  // another verifier, those bytes may be lost.
  std::optional<std::uint64_t> uncommitted;
  std::uint64_t writes_acknowledged = 0;

  std::int64_t local_mtime_ns = 0;  // of the latest store here, or as a program has set it since
  // getattr has shown local_mtime_ns, so the server must get the same time in the end.
  bool mtime_shown = false;

  Lazy<DirtyAttributes> dirty_attributes;

  // A program without CAP_FSETID has stored bytes. The WRITE that brings them to the server must
  // take the set-id bits away, although it may go through a privileged open.
  bool kill_privileges = false;

  AbsentXattrs absent_xattrs;

  Lazy<InodeLocks> locks;

  // The open of a released file whose bytes could not be written. Writing them is tried again
  // through it (open_files.h).
  std::shared_ptr<ServerOpen> kept_open;
  // The last FLUSH has returned an error, and the bytes are still dirty. So later opens are not
  // told of that failure.
  bool told_of_failure = false;

  // To be called before an ESTALE that makes the kernel look the path up again: a listing must not
  // answer that lookup.
  void forget_listed() { listed = {}; }

  bool dirty() const { return mapping && mapping->dirty_bytes() != 0; }
  // When a program asks for the attributes of such a file, its bytes are written first, so that the
  // program sees the times that the file will keep. NFS does the same.
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
