// FileStore: how the server reaches files. It speaks of handles, names of one component and ranges,
// never of paths and descriptors, so that another engine than the local tree fits behind it.
//
// Every call may come from any thread and is made for a session and as an identity. With
// Waiting::kNever it may still block for what a local disk takes to find a name or an inode, but
// not for data, for many blocks to be freed, or for a lease. Errors are the errno that the engine
// gave; ESTALE for a handle that names nothing (any more). A call that fails has no side effects
// unless it says so.
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
#include "server/file_handle.h"
#include "server/identity.h"

namespace foliofs::server {

// A name that proto::check_name has passed; ends in NUL. Does not own its bytes.
class Name {
 public:
  // EINVAL without a name, and the errors of proto::check_name.
  static Result<Name> check(const flatbuffers::String* name) {
    if (name == nullptr) return Errno(EINVAL);
    BOOST_OUTCOME_TRYV(proto::check_name({name->data(), name->size()}));
    return Name(name->c_str());
  }
  const char* c_str() const { return text_; }

 private:
  explicit Name(const char* text) : text_(text) {}
  const char* text_;
};

enum class Waiting {
  kNever,  // EAGAIN, with nothing done, where it would take long
  kAllowed,
};

// For whom a call is made. `caller` must outlive the call.
struct CallContext {
  const Identity& caller;
  std::uint64_t session = 0;  // whose changes are not foreign to it
  Waiting waiting = Waiting::kAllowed;
};

// A file that a session holds open: it stays readable and writable when its last name goes. Closed
// when the last reference goes. Made by a store and meant for that store only.
class OpenFile {
 public:
  virtual ~OpenFile() = default;
  // Whether closing it may take long: the bytes of a file that has no name any more go with it.
  virtual bool slow_to_close() const { return false; }
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
};

// A file that has lost a name, as it is afterwards: nlink 0 when that was the last one.
struct Removed {
  Handle handle;  // empty when nobody can have one that is still good
  wire::Attributes attributes;
};

struct DirectoryEntry {
  std::uint64_t cookie = 0;
  std::uint64_t ino = 0;
  std::uint32_t type = 0;  // S_IFMT bits, 0 when unknown
  std::string_view name;
  Handle handle;  // empty when not wanted, for "." and "..", and when the file is out of reach
  wire::Attributes attributes;
};

// Takes the entries of a directory until it has no room.
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

class FileStore {
 public:
  virtual ~FileStore() = default;

  // What an administrator should know of this store when it starts; empty when there is nothing.
  virtual std::string remark() const = 0;
  // Its calls wait for another machine or process, so that any of them may hang.
  virtual bool remote() const { return false; }
  // Lets go of what was not used for a while, which may block. Called now and then.
  virtual void drop_idle() = 0;

  virtual Handle root() const = 0;

  // Names. A symlink is never followed, a mount point never crossed (EXDEV).
  virtual Result<Entry> lookup(const CallContext& context, HandleView parent, Name name) = 0;
  // `flags`: access mode, O_EXCL, O_TRUNC. Opens the file if it exists, unless O_EXCL.
  virtual Result<Opened> create(const CallContext& context, HandleView parent, Name name,
                                mode_t mode, int flags) = 0;
  virtual Result<Entry> mknod(const CallContext& context, HandleView parent, Name name, mode_t mode,
                              dev_t rdev) = 0;
  virtual Result<Entry> mkdir(const CallContext& context, HandleView parent, Name name,
                              mode_t mode) = 0;
  virtual Result<Entry> symlink(const CallContext& context, HandleView parent, Name name,
                                const std::string& target) = 0;
  virtual Result<Entry> link(const CallContext& context, HandleView file, HandleView parent,
                             Name name) = 0;
  // nullopt when it is removed and nothing more could be learned of it.
  virtual Result<std::optional<Removed>> unlink(const CallContext& context, HandleView parent,
                                                Name name, bool directory) = 0;
  // `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT. What was replaced, if anything was
  // and as in unlink.
  virtual Result<std::optional<Removed>> rename(const CallContext& context, HandleView parent,
                                                Name name, HandleView new_parent, Name new_name,
                                                unsigned flags) = 0;
  virtual Result<std::string> readlink(const CallContext& context, HandleView file) = 0;
  // Fills `sink` from behind `cookie` (0: the beginning). True when the directory ended.
  virtual Result<bool> read_directory(const CallContext& context, HandleView directory,
                                      std::uint64_t cookie, bool with_attributes,
                                      DirectorySink& sink) = 0;

  // Attributes.
  virtual Result<wire::Attributes> attributes(const CallContext& context, HandleView file) = 0;
  virtual Result<wire::Attributes> attributes(const CallContext& context, OpenFile& file) = 0;
  // Owner, then mode, size and times; what came before a failure stays. `open` may be null; with it
  // the size is changed as its opener may.
  virtual Result<wire::Attributes> set_attributes(const CallContext& context, HandleView file,
                                                  OpenFile* open,
                                                  const AttributeChanges& changes) = 0;
  virtual Result<Space> space(const CallContext& context, HandleView file) = 0;

  // Open files. `flags`: access mode and O_TRUNC. `reclaim`: the file's owner may open it whatever
  // its mode says, as it held it open before; EINVAL with O_TRUNC and for anything but files.
  virtual Result<Opened> open(const CallContext& context, HandleView file, int flags,
                              bool reclaim) = 0;
  // How many bytes were read; fewer than asked only at the end of the file, or, with
  // Waiting::kNever, where it would have had to wait (EAGAIN when at the first byte).
  virtual Result<std::size_t> read(const CallContext& context, OpenFile& file, std::uint64_t offset,
                                   std::span<std::byte> into) = 0;
  // All of `data`, or an error; part of it may have been written then.
  virtual Result<wire::Attributes> write(const CallContext& context, OpenFile& file,
                                         std::uint64_t offset, std::span<const std::byte> data,
                                         std::optional<std::int64_t> mtime_ns) = 0;
  // Everything written so far is on stable storage when it returns.
  virtual Result<wire::Attributes> commit(const CallContext& context, OpenFile& file,
                                          bool data_only) = 0;
};

}  // namespace foliofs::server
