// AttributeCache: what is known of files' attributes, for how long the client believes it, and what
// it tells the kernel.
//
// Replies overtake each other, and the server answers requests while changes by this client are
// under way. So each reply comes with the MountCore::logical_time at which it was asked for
// (`asked_at`), and what it says of a file that has changed since (Inode::changed_at) is not
// believed. The server's count of changes by others (FileVersion) says whether the file's cached
// bytes are good.
#pragma once

#include <cstdint>

#include "foliofs/base/clock.h"
#include "foliofs/base/task.h"
#include "foliofs/vfs/operations.h"
#include "inode.h"

namespace foliofs::vfs {

class MountCore;

class AttributeCache {
 public:
  explicit AttributeCache(MountCore& core) : core_(core) {}
  AttributeCache(const AttributeCache&) = delete;
  AttributeCache& operator=(const AttributeCache&) = delete;

  // --- What the server says

  // Takes over what a reply says of `inode`. Returns once nobody is invalidating the file's cache
  // any more; true when this reply was the reason for an invalidation.
  Task<bool> take(InodeRef inode, Attributes attributes, std::uint64_t asked_at);
  // The same for the reply to a change by this client. Of several, the latest counts.
  void take_own_change(Inode& inode, const Attributes& now, std::uint64_t asked_at);
  // A change by this client in a directory has been answered. `after`: the directory's attributes
  // after it; nullptr when there are none.
  void directory_changed(Inode& directory, const wire::Attributes* after, std::uint64_t asked_at);
  // A reply to a request about something in a directory has the directory's attributes from before
  // the server looked.
  void directory_seen(Inode& directory, const wire::Attributes* before, std::uint64_t asked_at);
  // The latest answer says that the file ends there. If the mapping cannot take that just now, the
  // size is to be asked for again.
  static void take_size(Inode& inode, std::uint64_t size);
  // For a READ: asks where the file ends. Tells nobody else, because a READ must not wait for the
  // kernel's pages.
  Task<void> learn_size(InodeRef inode);
  // Waits until no invalidation because of somebody else's change is under way.
  static Task<void> wait_until_valid(InodeRef inode);

  // --- What happens here

  // This client has changed the file, so what was asked for before is out of date.
  void changed(Inode& inode);
  // The same, and the attributes are to be asked for again.
  void forget(Inode& inode);
  // The server has refused a change by this client, or has not answered. It may have done part of
  // it, and tells other clients of that, but not this one.
  void changed_in_part(const InodeRef& inode);
  // `store` was made through `file`, at `offset`, which need not be where the kernel asked for it.
  void stored(const OpenFile& file, const Store& store, std::uint64_t offset);
  // Bytes of the file have been read on the server, which may have moved the time of access.
  void note_access(Inode& inode) const;

  // --- What is believed, and shown

  // Whether the attributes, without the size or with it, can be used without asking the server.
  bool are_believed(const Inode& inode) const;
  bool are_known(const Inode& inode) const { return are_believed(inode) && !inode.size_unknown; }
  // What programs are shown: the server's attributes, and what is dirty here. The kernel is told in
  // the answer to a request that came at `asked_at`.
  Attributes shown(Inode& inode, std::uint64_t asked_at);
  // How long the kernel may believe that.
  Duration timeout(const Inode& inode) const;
  // The file has set-id bits and is open for writing. Any store may take them away, and the kernel
  // does not know of every store.
  static bool may_lose_set_id_bits(const Inode& inode);

 private:
  // Until when attributes may be believed that have just arrived.
  TimePoint believed_until(const Inode& inode, std::uint64_t asked_at) const;

  MountCore& core_;
};

// What a store by an unprivileged program does to the mode (inode(7)).
void drop_set_id_bits(Inode& inode);

}  // namespace foliofs::vfs
