// FileStore: how the server reaches files. Its interface has handles, names of one component and
// ranges, never paths or descriptors, so that an engine other than the local tree fits behind it.
//
// Every call may come from any thread and is made for a session and with an identity. With
// Waiting::kNever a call may still block for as long as a local disk takes to find a name or an
// inode, but not for data, for many blocks to be freed, or for a lease. Errors are the errno that
// the engine gave; ESTALE for a handle that names nothing (any more); and kLeaseHeld. A call that
// fails has no side effects unless its comment says so.
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "foliofs/base/result.h"
#include "foliofs/proto/messages.h"
#include "server/call_context.h"
#include "server/file_handle.h"
#include "server/file_id.h"
#include "server/names.h"

namespace foliofs::server {

// The mode of a new file. The store removes the umask's bits, unless the directory has a default
// ACL (acl(5)).
struct CreationMode {
  mode_t bits = 0;   // for mknod including the type
  mode_t umask = 0;  // of the caller
};

// A file that a session holds open: it stays readable and writable after its last name has gone. It
// is closed when the last reference goes. Made by a store and meant for that store only.
class OpenFile {
 public:
  virtual ~OpenFile() = default;
  // Whether closing may take long, because the blocks of a file without a name are freed with it.
  virtual bool slow_to_close() const { return false; }
  // Which file this is; the same for all opens of one file.
  virtual FileId id() const = 0;
};

struct Entry {
  Handle handle;
  wire::Attributes attributes;
  wire::Attributes parent;
};

struct Opened {
  std::shared_ptr<OpenFile> file;
  Handle handle;
  wire::Attributes attributes;
  bool created = false;
  std::optional<wire::Attributes> parent;  // after the call, if create() has made the file
};

struct Appended {
  std::uint64_t offset = 0;  // of the first byte
  wire::Attributes attributes;
};

struct Copied {
  std::uint64_t bytes = 0;
  wire::Attributes from;
  wire::Attributes to;
};

// A file that has lost a name, as it is afterwards: nlink 0 when that was its last name.
struct Removed {
  Handle handle;  // empty when no client can have a valid one
  wire::Attributes attributes;
};

// The result of unlink() and rename().
struct NamesChanged {
  // nullopt when no file has lost a name, or its attributes could not be read afterwards.
  std::optional<Removed> victim;
  // The directories after the change; unlink() has only `parent`.
  std::optional<wire::Attributes> parent, new_parent;
};

struct DirectoryEntry {
  std::uint64_t cookie = 0;
  std::uint64_t ino = 0;
  std::uint32_t type = 0;  // S_IFMT bits, 0 when unknown
  std::string_view name;
  // Empty when not wanted, for "." and "..", when the file is out of reach, and when another
  // session's exclusive lease forbids looking at it.
  Handle handle;
  wire::Attributes attributes;
};

struct DirectoryRead {
  bool end = false;            // nothing follows what the sink has taken
  wire::Attributes directory;  // from before the listing was read
};

// Takes the entries of a directory until it is full.
class DirectorySink {
 public:
  virtual ~DirectorySink() = default;
  virtual bool full() const = 0;
  virtual void add(const DirectoryEntry& entry) = 0;
};

struct AttributeChanges {
  std::uint32_t valid = 0;  // proto::SetAttrField bits
  mode_t mode = 0;          // permission bits
  uid_t uid = 0;
  gid_t gid = 0;
  std::uint64_t size = 0;
  std::int64_t atime_ns = 0;
  std::int64_t mtime_ns = 0;
};

struct Space {
  std::uint32_t block_size = 0;
  std::uint32_t fragment_size = 0;
  std::uint64_t blocks = 0;
  std::uint64_t blocks_free = 0;
  std::uint64_t blocks_available = 0;
  std::uint64_t files = 0;
  std::uint64_t files_free = 0;
  std::uint32_t name_max = 0;
};

// Bytes and their place in the file. Does not own the bytes.
struct WritePiece {
  std::uint64_t offset = 0;
  std::span<const std::byte> data;
};

class FileStore {
 public:
  virtual ~FileStore() = default;

  // What an administrator should know about this store when it starts; empty when there is nothing.
  virtual std::string remark() const = 0;
  // Whether its calls wait for another machine or process, so that any of them may hang.
  virtual bool remote() const { return false; }
  // Whether lookups ignore the case of names.
  virtual bool ignores_case() const { return false; }
  // Releases what has not been used for a while, which may block. Called now and then.
  virtual void drop_idle() = 0;

  virtual Handle root() const = 0;

  // Names. A symlink is never followed, a mount point never crossed (EXDEV). The entry has no
  // handle when there is no such name. The parent's attributes are from before the lookup.
  virtual Result<Entry> lookup(const CallContext& context, HandleView parent, Name name) = 0;
  // `flags`: access mode, O_EXCL, O_TRUNC. Opens the file if it exists, unless O_EXCL is set. For a
  // new file the context's holder may get an exclusive lease.
  virtual Result<Opened> create(const CallContext& context, HandleView parent, Name name,
                                CreationMode mode, int flags) = 0;
  virtual Result<Entry> mknod(const CallContext& context, HandleView parent, Name name,
                              CreationMode mode, dev_t rdev) = 0;
  virtual Result<Entry> mkdir(const CallContext& context, HandleView parent, Name name,
                              CreationMode mode) = 0;
  virtual Result<Entry> symlink(const CallContext& context, HandleView parent, Name name,
                                const std::string& target) = 0;
  virtual Result<Entry> link(const CallContext& context, HandleView file, HandleView parent,
                             Name name) = 0;
  virtual Result<NamesChanged> unlink(const CallContext& context, HandleView parent, Name name,
                                      bool directory) = 0;
  // `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT. The victim is the file that was
  // replaced.
  virtual Result<NamesChanged> rename(const CallContext& context, HandleView parent, Name name,
                                      HandleView new_parent, Name new_name, unsigned flags) = 0;
  virtual Result<std::string> readlink(const CallContext& context, HandleView file) = 0;
  // Fills `sink` with the entries after `cookie` (0: from the beginning).
  virtual Result<DirectoryRead> read_directory(const CallContext& context, HandleView directory,
                                               std::uint64_t cookie, bool with_attributes,
                                               DirectorySink& sink) = 0;

  // Attributes.
  virtual Result<wire::Attributes> attributes(const CallContext& context, HandleView file) = 0;
  virtual Result<wire::Attributes> attributes(const CallContext& context, OpenFile& file) = 0;
  // Sets owner, then mode, size and times; what was done before a failure stays. `open` may be
  // null; if not, the size is changed with the rights of its opener.
  virtual Result<wire::Attributes> set_attributes(const CallContext& context, HandleView file,
                                                  OpenFile* open,
                                                  const AttributeChanges& changes) = 0;
  virtual Result<Space> space(const CallContext& context, HandleView file) = 0;

  // Extended attributes, also of symlinks. The result is the size of the value, or of the list of
  // names that the caller may see, each ending in NUL; ERANGE when `into` is too small.
  virtual Result<std::size_t> get_xattr(const CallContext& context, HandleView file, XattrName name,
                                        std::span<std::byte> into) = 0;
  virtual Result<std::size_t> list_xattrs(const CallContext& context, HandleView file,
                                          std::span<std::byte> into) = 0;
  // `flags`: XATTR_CREATE, XATTR_REPLACE.
  virtual Result<wire::Attributes> set_xattr(const CallContext& context, HandleView file,
                                             XattrName name, std::span<const std::byte> value,
                                             int flags) = 0;
  virtual Result<wire::Attributes> remove_xattr(const CallContext& context, HandleView file,
                                                XattrName name) = 0;

  // Open files. `flags`: access mode and O_TRUNC. `reclaim`: the file's owner may open it whatever
  // its mode says, because the owner held it open before; EINVAL with O_TRUNC and for anything but
  // regular files.
  virtual Result<Opened> open(const CallContext& context, HandleView file, int flags,
                              bool reclaim) = 0;
  // Returns how many bytes were read. These are fewer than asked only at the end of the file or,
  // with Waiting::kNever, where the call would have to wait (EAGAIN when that is at the first
  // byte).
  virtual Result<std::size_t> read(const CallContext& context, OpenFile& file, std::uint64_t offset,
                                   std::span<std::byte> into) = 0;
  // The session closes `file`: an exclusive lease that came with it becomes an ordinary lease.
  virtual void end_exclusive(const CallContext& context, OpenFile& file) = 0;
  // Sets owner and mode, writes all of `pieces`, then sets the times. After an error, what was done
  // before it stays, possibly including a part of the pieces. The modification time is set even if
  // the opener is not the owner, where the store has the right to.
  virtual Result<wire::Attributes> write(const CallContext& context, OpenFile& file,
                                         std::span<const WritePiece> pieces,
                                         const AttributeChanges& changes) = 0;
  // Clears the set-id bits, as a write by an unprivileged process does, whoever the caller is. Bits
  // that the store has no right to change stay.
  virtual Status drop_set_id_bits(const CallContext& context, OpenFile& file) = 0;
  // Everything written so far is on stable storage when it returns.
  virtual Result<wire::Attributes> commit(const CallContext& context, OpenFile& file,
                                          bool data_only) = 0;

  // Writes all of `data` at the end that the file has then, or fails, possibly after writing part
  // of it. The data stays in one piece unless the engine takes less than all of it at once.
  virtual Result<Appended> append(const CallContext& context, OpenFile& file,
                                  std::span<const std::byte> data) = 0;
  // `mode`: FALLOC_FL_ bits. EOPNOTSUPP for what the engine does not support.
  virtual Result<wire::Attributes> allocate(const CallContext& context, OpenFile& file,
                                            unsigned mode, std::uint64_t offset,
                                            std::uint64_t length) = 0;
  // The first byte of data, or of a hole, at or after `offset`; ENXIO when there is none.
  virtual Result<std::uint64_t> seek(const CallContext& context, OpenFile& file,
                                     std::uint64_t offset, bool data) = 0;
  // Copies up to `length` bytes; fewer is no error. EXDEV or EOPNOTSUPP where the engine cannot
  // copy, EINVAL for overlapping ranges of one file.
  virtual Result<Copied> copy(const CallContext& context, OpenFile& from, std::uint64_t from_offset,
                              OpenFile& to, std::uint64_t to_offset, std::uint64_t length) = 0;
};

}  // namespace foliofs::server
