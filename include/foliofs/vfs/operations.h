// Operations: what ordinary programs do on a filesystem, as fuse/ asks for it. No FUSE in here.
//
// Errors are the server's errno, or: ESTALE for a node that is gone, ETIMEDOUT when the server is
// away (soft), EROFS on a read-only mount, ENAMETOOLONG, EIO when an outcome is unknown.
//
// READ, WRITE, SETATTR, FLUSH and FORGET never wait for the kernel's pages; LOOKUP, GETATTR and
// OPEN may, when they find that the file has changed (invalidation.md §3).
//
// The kernel may close a file while a call on it goes on: the call was interrupted and its caller
// is gone. So whoever calls holds the open file or directory by reference.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foliofs/base/clock.h"
#include "foliofs/base/result.h"
#include "foliofs/base/task.h"
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

// Who calls, and whether he still waits: an operation that has not taken effect yet stops with
// EINTR once `abandoned` says true.
struct Call {
  Caller caller;
  std::function<bool()> abandoned;
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

// Bytes to be stored in an open file.
struct Store {
  std::uint64_t offset = 0;
  std::span<const std::byte> data;  // must stay until the call returns
  cache::WriteSource source = cache::WriteSource::kSystemCall;
  bool append = false;  // O_APPEND is set now: to the end, wherever the kernel thinks that is
};

struct DirectoryEntry {
  std::string name;
  std::uint64_t cookie = 0;  // continue after this entry
  std::uint64_t ino = 0;
  std::uint32_t type = 0;      // S_IFMT bits
  std::optional<Entry> entry;  // with attributes, when asked for; not for "." and ".."
  // When it was asked for: by the clock, and by this client's own changes.
  TimePoint asked_at{};
  std::uint64_t change = 0;
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
  // With `file` it is the kernel that wants to know the size for a read or a seek, without it a
  // program asks.
  Task<Result<Attributes>> getattr(Call call, NodeId node, OpenFileRef file);
  // The same without asking anybody, when what is known is recent enough.
  std::optional<Attributes> try_getattr(NodeId node, bool for_program);
  Task<Result<Attributes>> setattr(Call call, NodeId node, AttributeChange change,
                                   OpenFileRef file);
  // How long the kernel may believe what it is told of the node's attributes now.
  std::chrono::microseconds attribute_timeout_us(NodeId node) const;
  Task<Result<FilesystemStats>> statfs(Call call, NodeId node);

  // Files. Until release() is called with it, the kernel may name an open file by its address.
  static OpenFileRef hold(OpenFile* file);
  Task<Result<OpenedFile>> open(Call call, NodeId node, int flags);
  Task<Result<CreatedFile>> create(Call call, NodeId parent, std::string name, std::uint32_t mode,
                                   int flags);
  Task<Result<cache::ReadResult>> read(OpenFileRef file, std::uint64_t offset,
                                       std::uint64_t length);
  bool try_read(OpenFile* file, std::uint64_t offset, std::uint64_t length,
                cache::ReadResult& result);
  Task<Status> write(Call call, OpenFileRef file, Store store);
  bool try_write(OpenFile* file, const Store& store);
  // One close(2) of the file: everything dirty is written back; each failure is told once.
  Task<Status> flush(OpenFileRef file);
  bool try_flush(OpenFile* file);
  Task<Status> fsync(OpenFileRef file, bool data_only);
  // The last close is over. What was dirtied since is written; calls that go on may hold `file`.
  Task<void> release(OpenFile* file);

  // Directories, until release_directory().
  Result<OpenDirectoryRef> open_directory(NodeId node);
  // Up to about 200 entries after `cookie` (0: from the beginning); empty at the end.
  Task<Result<std::vector<DirectoryEntry>>> read_directory(Call call, OpenDirectoryRef directory,
                                                           std::uint64_t cookie,
                                                           bool with_attributes);
  // Before an entry of read_directory() is handed to the kernel: its attributes become those known
  // now. It loses them, and their reference is given back, when they or the name are too old.
  void refresh(const OpenDirectory& directory, DirectoryEntry& entry);
  // Names that were made, moved or removed in the directory are on the server's disk.
  Task<Status> fsync_directory(Call call, OpenDirectoryRef directory, bool data_only);
  void release_directory(OpenDirectory* directory);

  // The server does not answer just now, so that calls may take for ever.
  bool server_is_away() const;

 private:
  Task<Status> append(Call call, OpenFileRef file, Store store);

  MountCore& core_;
};

}  // namespace foliofs::vfs
