// Operations: what ordinary programs do on a filesystem, as fuse/ asks for it. No FUSE in here.
//
// Errors are the server's errno, or: ESTALE for a node that is gone, ETIMEDOUT when the server is
// away (soft), EROFS on a read-only mount, ENAMETOOLONG, EIO when an outcome is unknown.
//
// READ, WRITE, SETATTR, FLUSH and FORGET never wait for the kernel's pages; LOOKUP, GETATTR and
// OPEN may, when they find that the file has changed (invalidation.md §3).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foliofs/base/result.h"
#include "foliofs/base/task.h"
#include "foliofs/cache/mapping.h"
#include "foliofs/vfs/attributes.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::vfs {

class MountCore;
struct OpenFile;
struct OpenDirectory;

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
};

struct OpenedFile {
  OpenFile* file = nullptr;  // owned by Operations until release()
  bool keep_cache = false;   // the kernel's pages of the file are still good
  bool direct = false;       // the kernel shall not cache the file's data
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

struct DirectoryEntry {
  std::string name;
  std::uint64_t cookie = 0;  // continue after this entry
  std::uint64_t ino = 0;
  std::uint32_t type = 0;      // S_IFMT bits
  std::optional<Entry> entry;  // with attributes, when asked for; not for "." and ".."
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
  Task<Result<Attributes>> getattr(Call call, NodeId node, OpenFile* file);
  // The same without asking anybody, when what is known is recent enough.
  std::optional<Attributes> try_getattr(NodeId node);
  Task<Result<Attributes>> setattr(Call call, NodeId node, AttributeChange change, OpenFile* file);
  Task<Result<FilesystemStats>> statfs(Call call, NodeId node);

  // Files. An OpenFile is valid until release() is called with it.
  Task<Result<OpenedFile>> open(Call call, NodeId node, int flags);
  Task<Result<CreatedFile>> create(Call call, NodeId parent, std::string name, std::uint32_t mode,
                                   int flags);
  Task<Result<cache::ReadResult>> read(OpenFile* file, std::uint64_t offset, std::uint64_t length);
  bool try_read(OpenFile* file, std::uint64_t offset, std::uint64_t length,
                cache::ReadResult& result);
  // `data` must stay until it returns.
  Task<Status> write(Call call, OpenFile* file, std::uint64_t offset,
                     std::span<const std::byte> data, cache::WriteSource source);
  bool try_write(OpenFile* file, std::uint64_t offset, std::span<const std::byte> data,
                 cache::WriteSource source);
  // One close(2) of the file: everything dirty is written back; each failure is told once.
  Task<Status> flush(OpenFile* file);
  bool try_flush(OpenFile* file);
  Task<Status> fsync(OpenFile* file, bool data_only);
  // The last close is over. What was dirtied since is written; `file` is gone afterwards.
  Task<void> release(OpenFile* file);

  // Directories. The handle is valid until release_directory().
  Result<OpenDirectory*> open_directory(NodeId node);
  // Up to about 200 entries after `cookie` (0: from the beginning); empty at the end.
  Task<Result<std::vector<DirectoryEntry>>> read_directory(Call call, OpenDirectory* directory,
                                                           std::uint64_t cookie,
                                                           bool with_attributes);
  void release_directory(OpenDirectory* directory);

  // How long the kernel may believe attributes and names.
  std::chrono::microseconds attribute_timeout_us() const;

 private:
  MountCore& core_;
};

}  // namespace foliofs::vfs
