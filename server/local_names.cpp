// LocalStore: calls on names. Files are in local_files.cpp.
#include <dirent.h>

#include <cstring>
#include <vector>

#include "server/change_scope.h"
#include "server/credentials.h"
#include "server/fd_path.h"
#include "server/local_calls.h"
#include "server/local_store.h"

namespace foliofs::server {

Result<Entry> LocalStore::lookup(const CallContext& context, HandleView parent, Name name) {
  BOOST_OUTCOME_TRY(auto directory, resolve_as(context, parent));
  // Read before the lookup, so that the directory's attributes are never newer than the entry.
  auto attributes = attributes_of(context, *directory);
  auto node = find_child(*directory, name);
  const bool absent = !node && node.error() == Errno(ENOENT);
  if (!node && !absent) return node.error();
  if (!attributes) return attributes.error();
  if (absent) return Entry{{}, {}, attributes.value()};
  return entry_of(context, *node.value(), attributes, Occasion::kAsked);
}

Result<NodeRef> LocalStore::find_child(const Node& parent, Name name) {
  BOOST_OUTCOME_TRY(auto fd, open_child(parent.fd.get(), name.c_str()));
  return adopt(std::move(fd));
}

Result<Entry> LocalStore::entry_of(const CallContext& context, const Node& node,
                                   const Result<wire::Attributes>& parent_attributes,
                                   Occasion occasion) const {
  if (!parent_attributes) return parent_attributes.error();
  BOOST_OUTCOME_TRY(auto attributes, attributes_of(context, node, occasion));
  return Entry{node.handle, attributes, parent_attributes.value()};
}

template <class Make>
Result<Entry> LocalStore::make_entry(const CallContext& context, HandleView parent, Name name,
                                     mode_t type, Make make) {
  BOOST_OUTCOME_TRY(auto directory, resolve_as(context, parent));
  BOOST_OUTCOME_TRY(const auto held, name_locks_.hold(context.waiting, directory->id, name));
  ChangeScope change(*this, *directory, context);
  if (make(directory->fd.get()) != 0) return last_errno();
  auto attributes = change.finish(true, {name.c_str()});
  BOOST_OUTCOME_TRY(auto node, find_child(*directory, name));
  // Another process has put another file there meanwhile. The client's kernel accepts none of
  // another type.
  if (type != 0 && node->type != type) return Errno(EEXIST);
  return entry_of(context, *node, attributes, Occasion::kAfterChange);
}

Result<Entry> LocalStore::mknod(const CallContext& context, HandleView parent, Name name,
                                CreationMode mode, dev_t rdev) {
  return make_entry(context, parent, name, mode.bits & S_IFMT, [&](int dir) {
    return ::mknodat(dir, name.c_str(), apply_umask(dir, mode), rdev);
  });
}

Result<Entry> LocalStore::mkdir(const CallContext& context, HandleView parent, Name name,
                                CreationMode mode) {
  return make_entry(context, parent, name, S_IFDIR, [&](int dir) {
    return ::mkdirat(dir, name.c_str(), apply_umask(dir, mode) & 07777);
  });
}

Result<Entry> LocalStore::symlink(const CallContext& context, HandleView parent, Name name,
                                  const std::string& target) {
  return make_entry(context, parent, name, S_IFLNK,
                    [&](int dir) { return ::symlinkat(target.c_str(), dir, name.c_str()); });
}

namespace {

bool has_name(int fd) {
  struct statx info {};
  return !look_at(fd, info) || info.stx_nlink != 0;
}

}  // namespace

Result<Entry> LocalStore::link(const CallContext& context, HandleView file, HandleView parent,
                               Name name) {
  BOOST_OUTCOME_TRY(auto node, resolve(context, file));
  const FdName source(node->fd.get());
  // linkat with AT_EMPTY_PATH would require CAP_DAC_READ_SEARCH.
  auto entry = make_entry(context, parent, name, node->type, [&](int dir) {
    ChangeScope change(*this, *node, context);  // a new link changes the file's ctime
    const int failed =
        ::linkat(proc_fds_.get(), source.c_str(), dir, name.c_str(), AT_SYMLINK_FOLLOW);
    if (failed == 0) (void)change.finish(true);
    return failed;
  });
  // The path of the source may lead to another file by now. ESTALE makes the client's kernel look
  // it up once more, as it would if no program had the old file open.
  const bool gone = !entry && entry.error() == Errno(ENOENT) && !has_name(node->fd.get());
  if (gone) return Errno(ESTALE);
  return entry;
}

void LocalStore::forget_if_unlinked(int fd) {
  struct statx info {};
  if (look_at(fd, info) && (info.stx_nlink == 0 || S_ISDIR(info.stx_mode))) {
    nodes_.unlinked(id_of(info));
  }
}

namespace {

// A file that an operation moves, replaces or removes.
struct AffectedFile {
  UniqueFd fd;
  Handle handle;
  std::shared_ptr<Inode> inode;
  bool slow = false;  // losing this name takes long
  std::optional<ChangeScope> change;

  std::optional<Removed> finish() {
    if (!change) return std::nullopt;
    auto attributes = change->finish(true);
    if (!attributes) return std::nullopt;
    return Removed{handle, attributes.value()};
  }
};

std::optional<wire::Attributes> to_optional(Result<wire::Attributes> attributes) {
  if (!attributes) return std::nullopt;
  return attributes.value();
}

bool slow_to_unlink(const struct statx& info) {
  return info.stx_nlink == 1 && holds_much(info);
}

}  // namespace

Result<NamesChanged> LocalStore::unlink(const CallContext& context, HandleView parent, Name name,
                                        bool directory) {
  BOOST_OUTCOME_TRY(auto node, resolve_as(context, parent));
  AffectedFile victim;  // destroyed last, and its blocks freed: no other call need wait for that
  BOOST_OUTCOME_TRY(const auto held, name_locks_.hold(context.waiting, node->id, name));
  BOOST_OUTCOME_TRY(victim.fd, open_child(node->fd.get(), name.c_str()));
  struct statx info {};
  if (!look_at(victim.fd.get(), info)) return last_errno();
  if (context.waiting == Waiting::kNever && slow_to_unlink(info)) return Errno(EAGAIN);
  victim.handle = handle_in_use(victim.fd.get(), id_of(info));
  victim.inode = inodes_.get(id_of(info));

  ChangeScope in_directory(*this, *node, context);
  victim.change.emplace(*this, victim.fd.get(), *victim.inode, context);
  if (::unlinkat(node->fd.get(), name.c_str(), directory ? AT_REMOVEDIR : 0) != 0) {
    return last_errno();
  }
  NamesChanged changed;
  changed.victim = victim.finish();
  changed.parent = to_optional(in_directory.finish(true, {name.c_str()}));
  forget_if_unlinked(victim.fd.get());
  return changed;
}

Result<NamesChanged> LocalStore::rename(const CallContext& context, HandleView parent, Name name,
                                        HandleView new_parent, Name new_name, unsigned flags) {
  BOOST_OUTCOME_TRY(auto from, resolve(context, parent));
  BOOST_OUTCOME_TRY(auto to, resolve_as(context, new_parent));
  AffectedFile moved, replaced;
  BOOST_OUTCOME_TRY(const auto held,
                    name_locks_.hold(context.waiting, from->id, name, to->id, new_name));
  auto prepare = [&](AffectedFile& file, const Node& directory, Name at) -> Status {
    BOOST_OUTCOME_TRY(file.fd, open_child(directory.fd.get(), at.c_str()));
    struct statx info {};
    if (!look_at(file.fd.get(), info)) return last_errno();
    file.handle = handle_in_use(file.fd.get(), id_of(info));
    file.slow = slow_to_unlink(info);
    file.inode = inodes_.get(id_of(info));
    file.change.emplace(*this, file.fd.get(), *file.inode, context);
    return success();
  };
  BOOST_OUTCOME_TRYV(prepare(moved, *from, name));
  auto target = prepare(replaced, *to, new_name);
  if (!target && target.error() != Errno(ENOENT)) return target.error();
  const bool replaces = replaced.change && (flags & RENAME_EXCHANGE) == 0;

  if (context.waiting == Waiting::kNever && replaces && replaced.slow) return Errno(EAGAIN);

  ChangeScope in_from(*this, *from, context);
  std::optional<ChangeScope> in_to;
  if (to != from) in_to.emplace(*this, *to, context);
  if (::renameat2(from->fd.get(), name.c_str(), to->fd.get(), new_name.c_str(), flags) != 0) {
    return last_errno();
  }
  (void)moved.finish();
  NamesChanged changed;
  if (replaced.change) changed.victim = replaced.finish();
  if (!replaces) changed.victim.reset();
  std::vector<std::string> left = {name.c_str()};
  if (!in_to) left.push_back(new_name.c_str());
  changed.parent = to_optional(in_from.finish(true, left));
  changed.new_parent =
      in_to ? to_optional(in_to->finish(true, {new_name.c_str()})) : changed.parent;
  if (replaces) forget_if_unlinked(replaced.fd.get());
  return changed;
}

Result<std::string> LocalStore::readlink(const CallContext& context, HandleView file) {
  BOOST_OUTCOME_TRY(auto node, resolve_as(context, file));
  if (node->type != S_IFLNK) return Errno(EINVAL);
  std::string target(kMaxSymlinkBytes + 1, '\0');
  const ssize_t length = ::readlinkat(node->fd.get(), "", target.data(), target.size());
  if (length < 0) return last_errno();
  target.resize(static_cast<std::size_t>(length));
  return target;
}

// --- Directories -------------------------------------------------------------------------------

namespace {

bool is_dot(const char* name) {
  return std::strcmp(name, ".") == 0;
}

bool is_dot_dot(const char* name) {
  return std::strcmp(name, "..") == 0;
}

}  // namespace

void LocalStore::fill_entry(const CallContext& context, int directory, DirectoryEntry& entry) {
  auto fd = open_child(directory, entry.name.data());
  if (!fd) return;
  struct statx info {};
  if (!look_at(fd.value().get(), info)) return;
  // Listing a large directory must not push the nodes in use out of the table, so only files that
  // could not be reopened otherwise get a node.
  Result<Handle> handle = Errno(ESTALE);
  auto known = nodes_.find(id_of(info));
  if (known != nullptr) {
    handle = known->handle;
  } else if (handle_source_->can_reopen()) {
    handle = identify(fd.value().get());
  } else if (auto node = adopt(reopen(fd.value().get(), O_PATH)); node) {
    handle = node.value()->handle;
  }
  if (!handle) return;
  // Does not recall another session's exclusive lease: a program that wants to know more will look
  // the file up.
  CallContext without_asking = context;
  without_asking.recalls = nullptr;
  auto attributes = attributes_of(without_asking, fd.value().get(), *inodes_.get(id_of(info)),
                                  handle.value(), Occasion::kAsked);
  if (!attributes) return;
  entry.handle = handle.value();
  entry.attributes = attributes.value();
  entry.ino = attributes.value().ino();
  entry.type = attributes.value().mode() & S_IFMT;
}

Result<DirectoryRead> LocalStore::read_directory(const CallContext& context, HandleView directory,
                                                 std::uint64_t cookie, bool with_attributes,
                                                 DirectorySink& sink) {
  // A directory that was not read recently comes from the disk, entry by entry.
  constexpr std::size_t kFewEntries = 64;
  const bool waits = context.waiting == Waiting::kAllowed;
  BOOST_OUTCOME_TRY(auto node, resolve_as(context, directory));
  if (node->type != S_IFDIR) return Errno(ENOTDIR);
  if (!waits && !node->lists_quickly) return Errno(EAGAIN);
  // The owner may read the rest of a listing although the mode has changed since it began.
  BOOST_OUTCOME_TRY(UniqueFd fd, open_as_owner(context, *node, O_RDONLY | O_DIRECTORY,
                                               /*override_mode=*/cookie != 0));
  if (cookie != 0 && ::lseek(fd.get(), static_cast<off_t>(cookie), SEEK_SET) < 0) {
    return last_errno();
  }
  DirectoryRead read;
  BOOST_OUTCOME_TRY(read.directory, attributes_of(context, *node));
  alignas(dirent64) std::array<char, 32768> raw;
  std::size_t count = 0;
  for (;;) {
    const ssize_t filled = ::getdents64(fd.get(), raw.data(), raw.size());
    if (filled < 0) return last_errno();
    if (filled == 0) {
      if (cookie == 0) node->lists_quickly = count <= kFewEntries;
      read.end = true;
      return read;
    }
    for (ssize_t at = 0; at < filled;) {
      if (sink.full() || (!waits && count == kFewEntries)) {
        node->lists_quickly = false;
        return read;
      }
      ++count;
      const auto* found = reinterpret_cast<const dirent64*>(raw.data() + at);
      const char* name = found->d_name;
      at += found->d_reclen;
      DirectoryEntry entry;
      entry.cookie = static_cast<std::uint64_t>(found->d_off);
      entry.ino = found->d_ino;
      entry.type = DTTOIF(found->d_type);
      entry.name = name;
      // The inode number of the directory above the export is not shown to clients.
      if (is_dot_dot(name) && node == root_) entry.ino = node->id.inode;
      if (with_attributes && !is_dot(name) && !is_dot_dot(name)) {
        fill_entry(context, fd.get(), entry);
      }
      sink.add(entry);
    }
  }
}

}  // namespace foliofs::server
