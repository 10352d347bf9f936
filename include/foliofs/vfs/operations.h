// Operations: what ordinary programs do on a filesystem, as fuse/ asks for it. No FUSE in here.
//
// Errors are the server's errno, or: ESTALE for a node that is gone, ETIMEDOUT when the server is
// away (soft), EROFS on a read-only mount, ENAMETOOLONG, EIO when an outcome is unknown.
//
// READ, WRITE, SETATTR, FLUSH and FORGET never wait for the kernel's pages, with two exceptions: a
// WRITE waits for 10 ms at most if the kernel has since filled its pages with older bytes, and an
// append that the kernel keeps no copy of waits until it has dropped its pages from the old end on.
// LOOKUP, GETATTR, OPEN and SETLK may wait for pages when they find that the file has changed
// (docs/ARCHITECTURE.md).
//
// The kernel may close a file while a call on it goes on, because the call was interrupted and its
// program is gone. So the caller of an operation holds the open file or directory by reference.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "foliofs/base/clock.h"
#include "foliofs/base/result.h"
#include "foliofs/base/task.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/cache/mapping.h"
#include "foliofs/vfs/attributes.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::vfs {

class MountCore;
struct OpenFile;
struct OpenDirectory;

using OpenFileRef = std::shared_ptr<OpenFile>;
using OpenDirectoryRef = std::shared_ptr<OpenDirectory>;

using NodeId = std::uint64_t;
inline constexpr NodeId kRootNode = 1;

// Which program calls, and whether it still waits: an operation that has not taken effect yet stops
// with EINTR once `abandoned` says true.
struct Call {
  Caller caller;
  std::function<bool()> abandoned;
  // The program's umask, for files that it makes. The modes of the call are not masked yet.
  std::uint32_t umask = 0;
  std::int32_t thread = 0;  // the caller's id; 0 when it is in a pid namespace that is not ours
};

// The outcome of a lookup. Each Entry with a node counts as one reference that forget() takes back.
struct Entry {
  NodeId node = 0;  // 0: there is no such name, and that may be remembered too
  Attributes attributes;
  // How long the kernel may believe the name, and the attributes.
  std::chrono::microseconds name_timeout_us{0};
  std::chrono::microseconds attribute_timeout_us{0};
};

struct OpenedFile {
  OpenFileRef file;         // Operations holds it too, until release()
  bool keep_cache = false;  // the kernel's pages of the file are still good
  bool direct = false;      // the kernel shall not cache the file's data
};

struct OpenedDirectory {
  OpenDirectoryRef directory;  // Operations holds it too, until release_directory()
  bool cache_listing = false;  // the kernel may keep what it reads, and read what it has kept
  bool keep_listing = false;   // what it has kept is still good
};

struct CreatedFile {
  Entry entry;
  OpenedFile opened;
};

struct AttributeChange {
  std::uint32_t valid = 0;  // proto::SetAttrField bits
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size = 0;
  std::int64_t atime_ns = 0;
  std::int64_t mtime_ns = 0;
};

// What write(2) waits for: O_DSYNC and O_SYNC.
enum class SyncWrite { kNo, kData, kFile };

// Bytes to be stored in an open file.
struct Store {
  std::uint64_t offset = 0;
  std::span<const std::byte> data;  // must stay until the call returns
  cache::WriteSource source = cache::WriteSource::kSystemCall;
  bool append = false;  // O_APPEND is set now: goes to the end, wherever the kernel thinks that is
  SyncWrite sync = SyncWrite::kNo;
  bool kill_privileges = false;  // by a program without CAP_FSETID: set-id bits go
};

// A lock of fcntl(2), or with `whole_file` one of flock(2).
struct FileLock {
  std::uint64_t owner = 0;  // as the kernel numbers them; the two kinds may share a number
  bool whole_file = false;
  std::uint32_t type = 0;            // F_RDLCK, F_WRLCK, F_UNLCK
  std::uint64_t start = 0, end = 0;  // bytes [start, end], of fcntl(2) only
  std::uint32_t pid = 0;
};

// A program's wait for a lock. It can be interrupted.
class LockWait {
 public:
  void interrupt() {
    interrupted_ = true;
    changed_.wake_all();
  }
  bool interrupted() const { return interrupted_; }

  // The server must be asked for the state of the lock.
  void ask_again() {
    asks_again_ = true;
    changed_.wake_all();
  }
  // Returns after either of these; takes an ask_again() that came before.
  Task<void> wait() {
    while (!interrupted_ && !asks_again_) co_await changed_.wait();
    asks_again_ = false;
  }

 private:
  bool interrupted_ = false;
  bool asks_again_ = false;
  WaitQueue changed_;
};

using LockWaitRef = std::shared_ptr<LockWait>;

struct DirectoryEntry {
  std::string name;
  std::uint64_t cookie = 0;  // continue after this entry
  std::uint64_t ino = 0;
  std::uint32_t type = 0;      // S_IFMT bits
  std::optional<Entry> entry;  // with attributes, when asked for; not for "." and ".."
  // When it was asked for: by the clock, and by MountCore::logical_time.
  TimePoint asked{};
  std::uint64_t asked_at = 0;
};

struct DirectoryEntries {
  std::vector<DirectoryEntry> entries;
  bool end = false;  // there is nothing behind them
};

struct FilesystemStats {
  std::uint32_t block_size = 0;
  std::uint32_t fragment_size = 0;
  std::uint64_t blocks = 0, blocks_free = 0, blocks_available = 0;
  std::uint64_t files = 0, files_free = 0;
  std::uint32_t name_max = 0;
};

class Operations {
 public:
  explicit Operations(MountCore& core) : core_(core) {}

  // Names.
  Task<Result<Entry>> lookup(Call call, NodeId parent, std::string name);
  // The same without asking the server: for names that a lease covers or a recent listing has
  // shown.
  std::optional<Entry> try_lookup(NodeId parent, const std::string& name);
  void forget(NodeId node, std::uint64_t count);
  Task<Result<Entry>> mknod(Call call, NodeId parent, std::string name, std::uint32_t mode,
                            std::uint64_t rdev);
  Task<Result<Entry>> mkdir(Call call, NodeId parent, std::string name, std::uint32_t mode);
  Task<Result<Entry>> symlink(Call call, NodeId parent, std::string name, std::string target);
  Task<Result<Entry>> link(Call call, NodeId node, NodeId parent, std::string name);
  Task<Status> unlink(Call call, NodeId parent, std::string name, bool directory);
  Task<Status> rename(Call call, NodeId parent, std::string name, NodeId new_parent,
                      std::string new_name, std::uint32_t flags);
  Task<Result<std::string>> readlink(Call call, NodeId node);

  // Attributes.
  // With `file`, the kernel asks for the size before a read or a seek; without it, a program asks.
  Task<Result<Attributes>> getattr(Call call, NodeId node, OpenFileRef file);
  // The same without asking the server, when what is known is recent enough.
  std::optional<Attributes> try_getattr(NodeId node, bool for_program);
  Task<Result<Attributes>> setattr(Call call, NodeId node, AttributeChange change,
                                   OpenFileRef file);
  // How long the kernel may believe what it is told of the node's attributes now.
  std::chrono::microseconds attribute_timeout_us(NodeId node) const;
  Task<Result<FilesystemStats>> statfs(Call call, NodeId node);

  // Extended attributes. Errors besides the server's: E2BIG for a value that is too large.
  // Whether the file is known to have none of this name; good for as long as attributes are.
  bool lacks_xattr(NodeId node, std::string_view name) const;
  Task<Result<std::vector<std::byte>>> get_xattr(Call call, NodeId node, std::string name);
  // The names, each with a NUL.
  Task<Result<std::vector<std::byte>>> list_xattrs(Call call, NodeId node);
  Task<Status> set_xattr(Call call, NodeId node, std::string name, std::vector<std::byte> value,
                         int flags);
  Task<Status> remove_xattr(Call call, NodeId node, std::string name);

  // Files. Until release() is called with it, the kernel may name an open file by its address.
  static OpenFileRef hold(OpenFile* file);
  Task<Result<OpenedFile>> open(Call call, NodeId node, int flags);
  // The same without asking the server, where it has permitted such an open before and nothing has
  // changed since (src/vfs/idle_opens.h). Runs `caller` only when everything else permits it.
  std::optional<OpenedFile> try_open(const std::function<Caller()>& caller, std::int32_t thread,
                                     NodeId node, int flags);
  Task<Result<CreatedFile>> create(Call call, NodeId parent, std::string name, std::uint32_t mode,
                                   int flags);
  Task<Result<cache::ReadResult>> read(OpenFileRef file, std::uint64_t offset,
                                       std::uint64_t length);
  bool try_read(OpenFile* file, std::uint64_t offset, std::uint64_t length,
                cache::ReadResult& result);
  Task<Status> write(Call call, OpenFileRef file, Store store);
  bool try_write(OpenFile* file, const Store& store);
  // One close(2) of the file by `lock_owner`: everything dirty is written back, and the owner's
  // locks of fcntl(2) are given up. Each failure is reported once.
  Task<Status> flush(OpenFileRef file, std::uint64_t lock_owner = 0);
  bool try_flush(OpenFile* file, std::uint64_t lock_owner = 0);
  Task<Status> fsync(OpenFileRef file, bool data_only);
  // Ranges of open files, changed by the server itself.
  // `mode`: FALLOC_FL_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE; EOPNOTSUPP for others, and for what the
  // server's filesystem does not have.
  Task<Status> allocate(Call call, OpenFileRef file, std::uint32_t mode, std::uint64_t offset,
                        std::uint64_t length);
  // The first byte of data, or of a hole, from `offset` on; ENXIO when there is none. What is dirty
  // is written first.
  Task<Result<std::uint64_t>> seek(OpenFileRef file, std::uint64_t offset, bool data);
  // How many bytes were copied, at most 64 MiB. EXDEV or EOPNOTSUPP where the server cannot.
  Task<Result<std::uint64_t>> copy_range(Call call, OpenFileRef from, std::uint64_t from_offset,
                                         OpenFileRef to, std::uint64_t to_offset,
                                         std::uint64_t length);
  // Locks, held at the server.
  // Returns the lock in the way of `lock`, or one of type F_UNLCK.
  Task<Result<FileLock>> test_lock(OpenFileRef file, FileLock lock);
  // Once the lock is held, what others have written before shows. Before it is given up, what was
  // written here is with the server. With `wait`, which can be interrupted (EINTR), waits for the
  // lock. Errors: EAGAIN without `wait`; EDEADLK; ENOLCK; EIO when a lock of this open was lost.
  Task<Status> set_lock(Call call, OpenFileRef file, FileLock lock, LockWaitRef wait);
  // The last close is over. Writes what was dirtied since; calls that go on may hold `file`.
  Task<void> release(OpenFile* file);

  // Directories, until release_directory().
  Result<OpenedDirectory> open_directory(NodeId node);
  // Up to about 200 entries after `cookie` (0: from the beginning), as the server has them now.
  Task<Result<DirectoryEntries>> read_directory(Call call, OpenDirectoryRef directory,
                                                std::uint64_t cookie, bool with_attributes);
  // Called before an entry of read_directory() is handed to the kernel: its attributes become those
  // known now. If these or the name are too old, or if the kernel knows them already, the entry
  // loses them, and their reference is given back.
  void refresh(const OpenDirectory& directory, DirectoryEntry& entry);
  // Returns once names made, moved or removed in the directory are on the server's disk.
  Task<Status> fsync_directory(Call call, OpenDirectoryRef directory, bool data_only);
  void release_directory(OpenDirectory* directory);

  // The server does not answer just now, so that calls may take for ever.
  bool server_is_away() const;

 private:
  Task<void> drop_locks(OpenFileRef file, std::uint64_t lock_owner);
  Task<void> drop_locks_through(OpenFileRef file);
  Task<Status> put(Call call, OpenFileRef file, Store store);
  // Stores where the server's file ends; once at most, whatever becomes of the connection.
  Task<Status> append(Call call, OpenFileRef file, Store store);

  MountCore& core_;
};

}  // namespace foliofs::vfs
