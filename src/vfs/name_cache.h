// NameCache: which file a name stands for. The client asks the server for names, learns them from
// replies and listings, and answers some lookups without asking. A name seen under a lease of its
// directory (leases.h) is good until the lease goes. A name that a listing has shown is good for as
// long as attributes may be believed. When the kernel asks again for one name of a directory after
// another, because a program walks a tree, one listing takes the place of all those lookups.
//
// Without a lease the client takes no name for absent: a program that opens a file after another
// client has closed it must find it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "foliofs/base/clock.h"
#include "foliofs/base/result.h"
#include "foliofs/base/task.h"
#include "foliofs/proto/messages.h"
#include "foliofs/vfs/operations.h"
#include "inode.h"

namespace foliofs::vfs {

class MountCore;

class NameCache {
 public:
  explicit NameCache(MountCore& core) : core_(core) {}
  NameCache(const NameCache&) = delete;
  NameCache& operator=(const NameCache&) = delete;

  // --- Asking the server

  // What the server has under this name now. With `tell_absence`, the reply has no handle when
  // there is nothing.
  Task<Result<wire::EntryReplyT>> ask(wire::CallerT caller, InodeRef parent, std::string name,
                                      bool tell_absence = false);
  // Looks the file up once more under its last name, as `caller`. True when the file has another
  // handle now; false when the file is gone; an error when that could not be found out.
  Task<Result<bool>> find_again(InodeRef inode, wire::CallerT caller);
  // Whether the name under which the kernel has found the file still is the file's own, judging by
  // `now`, the attributes in the reply to an OPEN. Asks the server if somebody else may have moved
  // the file. It says no only once, because the open need not be by name: it must succeed the
  // second time. Where nobody can tell which of several names the kernel means, the answer is
  // `just_looked_up`, that is, whether the kernel has looked the path up because of such a no.
  Task<bool> is_still(Call call, InodeRef inode, Attributes now, bool just_looked_up);
  // One READDIR, as Operations::read_directory().
  Task<Result<DirectoryEntries>> read_directory(Call call, InodeRef directory, std::uint64_t cookie,
                                                bool with_attributes);
  // Called before a lookup: whether more lookups in `parent` are likely to follow, so that listing
  // it costs less.
  bool is_worth_listing(Inode& parent, const std::string& name);
  Task<void> list(Call call, InodeRef parent);

  // --- What a reply has shown, to a request sent at `asked_at` (MountCore::logical_time)

  // The inode, with one more reference for the kernel. Takes over its attributes. If somebody else
  // has changed the file, returns after its cache has been invalidated.
  Task<InodeRef> enter(InodeRef parent, std::string name, HandleBytes handle, Attributes attributes,
                       std::uint64_t asked_at);
  // The same without reference and attributes. If the inode known under this name has a handle that
  // the server has lost, it gets the new one.
  Task<InodeRef> inode_for(InodeRef parent, std::string name, HandleBytes handle,
                           Attributes attributes);

  // --- What the kernel is told, in the answer to a request that came at `asked_at`

  // The entry of an inode that was entered as `name` in `parent`, `age` ago.
  Entry entry_of(Inode& inode, NodeId parent, std::string_view name, std::uint64_t asked_at,
                 Duration age = Duration::zero());
  // Whether the kernel was told the same not long ago. Then it keeps what it has cached, ACLs too,
  // unless it is told again.
  bool is_known_above(Inode& inode, NodeId parent, std::string_view name);
  // What a recent listing has shown under this name, with a reference for the kernel.
  std::optional<Entry> listed(const Inode& parent, const std::string& name, std::uint64_t asked_at);
  // The same for what is known under a lease of `parent`, including that there is no such name.
  std::optional<Entry> leased(const Inode& parent, const std::string& name, std::uint64_t asked_at);
  // The entry of a `name` that was not there, according to a reply to a request sent at `asked_at`
  // with `said` as the attributes of `parent`.
  Entry absent(const Inode& parent, const std::string& name, const wire::Attributes* said,
               std::uint64_t asked_at);

 private:
  MountCore& core_;
};

// A hash that stands for a name in a directory.
std::size_t name_key(NodeId parent, std::string_view name);

}  // namespace foliofs::vfs
