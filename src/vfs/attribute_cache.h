// AttributeCache: what is known of files' attributes, for how long it is believed, and what the
// kernel is told of them.
//
// Replies overtake each other, and changes of this client's own are under way while others answer.
// So each reply comes with the MountCore::logical_time at which it was asked for (`asked_at`), and
// of a file that has changed since (Inode::changed_at) it says nothing that is believed. What the
// server counts of changes by others (FileVersion) says whether the file's cached bytes are good.
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

  // Takes over what it says of `inode`. Returns when nobody invalidates the file's cache any more;
  // true when it was invalidated because of this reply.
  Task<bool> take(InodeRef inode, Attributes attributes, std::uint64_t asked_at);
  // In the reply to a change of this client's own: of several the latest counts.
  void take_own_change(Inode& inode, const Attributes& now, std::uint64_t asked_at);
  // The answer to a change of this client's own in a directory: the directory's attributes after
  // it, or nullptr when the answer has none.
  void directory_changed(Inode& directory, const wire::Attributes* after, std::uint64_t asked_at);
  // A directory's attributes from before something else was asked about it.
  void directory_seen(Inode& directory, const wire::Attributes* before, std::uint64_t asked_at);
  // It has said last that the file ends there. Where the mapping does not take it just now, it is
  // to be asked for again.
  static void take_size(Inode& inode, std::uint64_t size);
  // Asks where the file ends, for a READ, and tells nobody else: a READ must not wait for the
  // kernel's pages.
  Task<void> learn_size(InodeRef inode);
  // Waits until no change by somebody else is being dealt with.
  static Task<void> wait_until_valid(InodeRef inode);

  // --- What happens here

  // This client has changed the file: what was asked for before is old.
  void changed(Inode& inode);
  // Its attributes are to be asked for again as well.
  void forget(Inode& inode);
  // The server has refused a change of this client's own, or not answered: it may have done part of
  // it, of which it tells others, but not us.
  void changed_in_part(const InodeRef& inode);
  // `store` was made through `file`, at `offset`, which need not be where the kernel asked for it.
  void stored(const OpenFile& file, const Store& store, std::uint64_t offset);
  // Bytes of the file have been read on the server, which may have moved the time of access.
  void note_access(Inode& inode) const;

  // --- What is believed, and shown

  // Whether the server need not be asked for them, the size aside or with it.
  bool are_believed(const Inode& inode) const;
  bool are_known(const Inode& inode) const { return are_believed(inode) && !inode.size_unknown; }
  // What programs are shown: the server's attributes, and what is dirty here. The kernel is told in
  // an answer to what it asked at `asked_at`.
  Attributes shown(Inode& inode, std::uint64_t asked_at);
  // How long the kernel may believe that.
  Duration timeout(const Inode& inode) const;
  // It has set-id bits, and is open for writing: any store may take them away, and the kernel does
  // not know of each.
  static bool may_lose_set_id_bits(const Inode& inode);

 private:
  // Until when those may be believed that have just been said.
  TimePoint believed_until(const Inode& inode, std::uint64_t asked_at) const;

  MountCore& core_;
};

// What a store by somebody unprivileged does to the mode (inode(7)).
void drop_set_id_bits(Inode& inode);

}  // namespace foliofs::vfs
