// LocalStore: the FileStore of a directory on this machine.
//
// It resolves handles with the server's own privileges and does everything else as the caller, so
// that the kernel decides what is permitted. It works on O_PATH descriptors throughout. It looks up
// a name as one component below such a descriptor and never follows a symlink or enters another
// mount. It opens what it found through /proc/self/fd, so the file that is opened is the very one
// whose type was checked.
#pragma once

#include <sys/stat.h>

#include "server/file_store.h"
#include "server/filesystem_traits.h"
#include "server/handle_source.h"
#include "server/inode_table.h"
#include "server/name_locks.h"
#include "server/node_table.h"

namespace foliofs::server {

enum class HandleKind {
  kAutomatic,   // kernel handles where they work, else descriptors
  kDescriptor,  // numbers of descriptors that the server holds
};

struct LocalStoreOptions {
  std::string path;
  std::string name;  // of the export
  std::span<const std::uint8_t> secret;
  std::size_t max_nodes = 1024;  // descriptors kept for handles in use
  HandleKind handles = HandleKind::kAutomatic;
};

class LocalFile;
class ChangeScope;

class LocalStore final : public FileStore {
 public:
  // The errors are those of opening the directory: ENOENT, ENOTDIR, EACCES …
  static Result<std::unique_ptr<FileStore>> open_tree(const LocalStoreOptions& options);

  std::string remark() const override { return remark_; }
  bool remote() const override { return filesystem_.remote; }
  bool ignores_case() const override { return filesystem_.ignores_case; }
  void drop_idle() override;
  Handle root() const override { return root_->handle; }

  Result<Entry> lookup(const CallContext& context, HandleView parent, Name name) override;
  Result<Opened> create(const CallContext& context, HandleView parent, Name name, CreationMode mode,
                        int flags) override;
  Result<Entry> mknod(const CallContext& context, HandleView parent, Name name, CreationMode mode,
                      dev_t rdev) override;
  Result<Entry> mkdir(const CallContext& context, HandleView parent, Name name,
                      CreationMode mode) override;
  Result<Entry> symlink(const CallContext& context, HandleView parent, Name name,
                        const std::string& target) override;
  Result<Entry> link(const CallContext& context, HandleView file, HandleView parent,
                     Name name) override;
  Result<NamesChanged> unlink(const CallContext& context, HandleView parent, Name name,
                              bool directory) override;
  Result<NamesChanged> rename(const CallContext& context, HandleView parent, Name name,
                              HandleView new_parent, Name new_name, unsigned flags) override;
  Result<std::string> readlink(const CallContext& context, HandleView file) override;
  Result<DirectoryRead> read_directory(const CallContext& context, HandleView directory,
                                       std::uint64_t cookie, bool with_attributes,
                                       DirectorySink& sink) override;
  Result<wire::Attributes> attributes(const CallContext& context, HandleView file) override;
  Result<wire::Attributes> attributes(const CallContext& context, OpenFile& file) override;
  Result<wire::Attributes> set_attributes(const CallContext& context, HandleView file,
                                          OpenFile* open, const AttributeChanges& changes) override;
  Result<Space> space(const CallContext& context, HandleView file) override;
  Result<std::size_t> get_xattr(const CallContext& context, HandleView file, XattrName name,
                                std::span<std::byte> into) override;
  Result<std::size_t> list_xattrs(const CallContext& context, HandleView file,
                                  std::span<std::byte> into) override;
  Result<wire::Attributes> set_xattr(const CallContext& context, HandleView file, XattrName name,
                                     std::span<const std::byte> value, int flags) override;
  Result<wire::Attributes> remove_xattr(const CallContext& context, HandleView file,
                                        XattrName name) override;
  Result<Opened> open(const CallContext& context, HandleView file, int flags,
                      bool reclaim) override;
  Result<std::size_t> read(const CallContext& context, OpenFile& file, std::uint64_t offset,
                           std::span<std::byte> into) override;
  Result<wire::Attributes> write(const CallContext& context, OpenFile& file,
                                 std::span<const WritePiece> pieces,
                                 const AttributeChanges& changes) override;
  void end_exclusive(const CallContext& context, OpenFile& file) override;
  Status drop_set_id_bits(const CallContext& context, OpenFile& file) override;
  Result<wire::Attributes> commit(const CallContext& context, OpenFile& file,
                                  bool data_only) override;
  Result<Appended> append(const CallContext& context, OpenFile& file,
                          std::span<const std::byte> data) override;
  Result<wire::Attributes> allocate(const CallContext& context, OpenFile& file, unsigned mode,
                                    std::uint64_t offset, std::uint64_t length) override;
  Result<std::uint64_t> seek(const CallContext& context, OpenFile& file, std::uint64_t offset,
                             bool data) override;
  Result<Copied> copy(const CallContext& context, OpenFile& from, std::uint64_t from_offset,
                      OpenFile& to, std::uint64_t to_offset, std::uint64_t length) override;

 private:
  friend class ChangeScope;

  LocalStore(const LocalStoreOptions& options, UniqueFd root, UniqueFd proc_fds);

  // The node that `handle` names. If it had to be opened, the thread acts as the server afterwards.
  Result<NodeRef> resolve(const CallContext& context, HandleView handle);
  // Like resolve, but from then on the thread acts as the caller.
  Result<NodeRef> resolve_as(const CallContext& context, HandleView handle);
  // Like resolve, but ignores other sessions' leases of the file.
  Result<NodeRef> find_node(HandleView handle);
  // The node of the file behind `path_fd`, an O_PATH descriptor that a new node keeps. `handle` is
  // how clients know the file; with nullptr a new node gets a new handle. If `path_fd` is empty,
  // returns the errno of the failed open.
  Result<NodeRef> adopt(UniqueFd path_fd, const Handle* handle = nullptr);
  // kLeaseHeld if another session's exclusive lease forbids the caller's session to look at the
  // file; the lease is recalled if the context takes recalls.
  static Status may_look_at(const CallContext& context, Inode& inode);
  // A handle for the file behind `fd`, which has no node.
  Result<Handle> identify(int fd) const;
  // The handle that clients know the file by; empty when no client can have a valid one.
  Handle handle_in_use(int fd, const FileId& id);
  // An O_PATH descriptor of `name` in `directory`; of a symlink itself. EXDEV for a mount point.
  Result<UniqueFd> open_child(int directory, const char* name);
  // Opens the file behind an O_PATH or any other descriptor anew. Without a descriptor, errno says
  // why.
  UniqueFd reopen(int fd, int flags);
  // open() returns a descriptor, or -1 with errno. If descriptors have run out, drops nodes and
  // tries once more.
  template <class Open>
  UniqueFd with_descriptor(Open open) {
    UniqueFd fd(open());
    if (fd || (errno != EMFILE && errno != ENFILE)) return fd;
    nodes_.shrink();
    return UniqueFd(open());
  }

  // The occasion on which a client is told attributes.
  enum class Occasion {
    // They accompany an answer about something else: xattrs are not looked at, so kNoSecurityXattrs
    // is never set.
    kAlongside,
    // The client asked for them: kNoSecurityXattrs is set where it applies, which may cost another
    // system call.
    kAsked,
    // Like kAsked, for a file that the session has just created: the session gets an exclusive
    // lease if no other session has a lease.
    kCreated,
    // Like kAsked, but never kLeaseHeld: the change is done, so it is too late to wait.
    kAfterChange,
  };
  // `handle` is how clients know the file; if it is empty, no lease is given. kLeaseHeld as
  // may_look_at() returns it.
  Result<wire::Attributes> attributes_of(const CallContext& context, int fd, Inode& inode,
                                         HandleView handle,
                                         Occasion occasion = Occasion::kAlongside) const;
  Result<wire::Attributes> attributes_of(const CallContext& context, const Node& node,
                                         Occasion occasion = Occasion::kAlongside) const {
    return attributes_of(context, node.fd.get(), *node.inode, node.handle, occasion);
  }
  // Looks at the file through its open descriptor.
  Result<wire::Attributes> attributes_of(const CallContext& context, const LocalFile& file,
                                         Occasion occasion = Occasion::kAlongside) const;
  wire::Attributes describe(const struct statx& info, ChangeCounts counts,
                            std::uint32_t flags) const;
  // Whether this filesystem, and not only this file, can have ACLs and `security.` attributes.
  bool has_security_xattrs(int fd) const;
  // kNoSecurityXattrs, or 0 when the file has such xattrs or that is not known.
  static std::uint32_t security_flag(int fd);
  // The inode number that clients see.
  std::uint64_t ino_of(const struct statx& info) const;

  Result<NodeRef> find_child(const Node& parent, Name name);
  Result<Entry> entry_of(const CallContext& context, const Node& node,
                         const Result<wire::Attributes>& parent_attributes,
                         Occasion occasion) const;
  // `make(directory)` makes the name of a file of `type` (0: not known) and returns 0, or -1 with
  // errno.
  template <class Make>
  Result<Entry> make_entry(const CallContext& context, HandleView parent, Name name, mode_t type,
                           Make make);
  // create() of a name that does not exist; EEXIST when it does.
  Result<Opened> create_new(const CallContext& context, Node& parent, Name name, CreationMode mode,
                            int flags);
  // The part of open() and create() that opens an existing file. REQUIRES: the thread acts as the
  // caller.
  Result<Opened> open_node(const CallContext& context, NodeRef node, int flags,
                           bool reclaim = false);
  // Opens as the caller. With `override_mode` the file's owner may open it whatever its mode says.
  Result<UniqueFd> open_as_owner(const CallContext& context, const Node& node, int flags,
                                 bool override_mode);
  // Opens for reading a file that the caller may execute.
  Result<UniqueFd> open_to_execute(const CallContext& context, const Node& node);
  // Builds the answer of an open or a creation, once there is a descriptor.
  Result<Opened> finish_open(const CallContext& context, UniqueFd fd, NodeRef node,
                             Occasion occasion);
  // Undoes the creation of `name`, if it still is the file behind `fd`.
  void remove_again(const Node& parent, Name name, int fd) const;
  // Adds the handle and the attributes of the file `entry.name`, as far as they can be had.
  void fill_entry(const CallContext& context, int directory, DirectoryEntry& entry);
  // Tells `scope` about each step that is done, also when a later one fails.
  Status change_owner_and_mode(int fd, const AttributeChanges& changes, ChangeScope& scope) const;
  Status change_times(int fd, const AttributeChanges& changes) const;
  // Through `open`, if there is one, and else with the thread's current identity.
  Status change_size(Node& node, LocalFile* open, std::uint64_t size) const;
  // To be called after the file behind `fd` has lost a name.
  void forget_if_unlinked(int fd);

  const UniqueFd proc_fds_;  // /proc/self/fd
  const UniqueFd root_fd_;   // readable, because open_by_handle_at requires that
  const HandleSigner signer_;
  std::unique_ptr<HandleSource> handle_source_;
  std::string remark_;
  std::uint64_t root_device_ = 0;
  FilesystemTraits filesystem_;
  bool security_xattrs_ = false;  // has_security_xattrs() of the root; false on a remote filesystem
  InodeTable inodes_;
  NameLocks name_locks_;  // held during each change of a name
  NodeTable nodes_;
  NodeRef root_;
};

}  // namespace foliofs::server
