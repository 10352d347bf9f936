// NameCache: which file a name is. Names are asked for, come with replies and listings, and some
// are known without asking: under a lease of their directory (leases.h) they stand until it goes.
// Others that a listing has shown: for as long as attributes may be believed, a lookup of one is
// answered from memory. When the kernel asks again for one name of a directory after another, as
// for programs that go through a tree, one listing takes the place of all those lookups.
//
// Without a lease nothing is taken for absent: whoever opens a file after another client has closed
// it must find it.
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

  // --- The server is asked

  // What it has under this name now; with `tell_absence`, a reply without a handle when there is
  // nothing.
  Task<Result<wire::EntryReplyT>> ask(wire::CallerT caller, InodeRef parent, std::string name,
                                      bool tell_absence = false);
  // Looks the file up once more under its last name, as `caller`. True when it has another handle
  // now; false when the file is gone; an error when that could not be learnt.
  Task<Result<bool>> find_again(InodeRef inode, wire::CallerT caller);
  // Whether the name is still the file's own under which the kernel has found it, by what an OPEN
  // says of it: `now`. Asks the server if somebody else may have moved it. When it says no, or may
  // be wrong, it does so once, so that an open which is not by name succeeds the second time. What
  // the kernel has `just_looked_up` because of a no is believed where nobody can tell.
  Task<bool> is_still(Call call, InodeRef inode, Attributes now, bool just_looked_up);
  // One READDIR, as Operations::read_directory().
  Task<Result<DirectoryEntries>> read_directory(Call call, InodeRef directory, std::uint64_t cookie,
                                                bool with_attributes);
  // Before a lookup: whether more are likely to follow in `parent`, so that it had better be
  // listed.
  bool is_worth_listing(Inode& parent, const std::string& name);
  Task<void> list(Call call, InodeRef parent);

  // --- What a reply has shown, to what was asked at `asked_at` (MountCore::logical_time)

  // The inode, with one more reference for the kernel. Its attributes are taken over; if somebody
  // else has changed the file its cache is invalidated first.
  Task<InodeRef> enter(InodeRef parent, std::string name, HandleBytes handle, Attributes attributes,
                       std::uint64_t asked_at);
  // The same without either: an inode that is known under this name by a handle which the server
  // has lost gets the new one.
  Task<InodeRef> inode_for(InodeRef parent, std::string name, HandleBytes handle,
                           Attributes attributes);

  // --- What the kernel is told, which asked at `asked_at`

  // Of an inode that was entered as `name` in `parent`, `age` ago.
  Entry entry_of(Inode& inode, NodeId parent, std::string_view name, std::uint64_t asked_at,
                 Duration age = Duration::zero());
  // Whether it was told the same not long ago: it keeps what it has cached, ACLs too, unless it is
  // told again.
  bool is_known_above(Inode& inode, NodeId parent, std::string_view name);
  // What a recent listing has shown under this name, with a reference for the kernel.
  std::optional<Entry> listed(const Inode& parent, const std::string& name, std::uint64_t asked_at);
  // The same for what is known under a lease of `parent`: that there is no such name, too.
  std::optional<Entry> leased(const Inode& parent, const std::string& name, std::uint64_t asked_at);
  // `name` was not there in a reply to what was asked at `asked_at`, which says `said` of `parent`.
  Entry absent(const Inode& parent, const std::string& name, const wire::Attributes* said,
               std::uint64_t asked_at);

 private:
  MountCore& core_;
};

// Stands for a name in a directory.
std::size_t name_key(NodeId parent, std::string_view name);

}  // namespace foliofs::vfs
