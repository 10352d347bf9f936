// Notifications: what the kernel is told of a file unasked. Its pages are to be dropped, its
// attributes not to be believed, its end has moved.
//
// The kernel ignores the attributes in answers to what it asked before it handled a notification
// (KernelView::ignores()), and WRITEs that are on their way may bring pages from before one
// (refilled_pages.h). So all notifications of pages and attributes go through here, where both is
// noted.
#pragma once

#include <memory>
#include <vector>

#include "foliofs/base/byte_range.h"
#include "foliofs/base/task.h"
#include "inode.h"

namespace foliofs::vfs {

class MountCore;

class Notifications {
 public:
  explicit Notifications(MountCore& core) : core_(core) {}
  Notifications(const Notifications&) = delete;
  Notifications& operator=(const Notifications&) = delete;

  // --- Pages. As cache::KernelPages::invalidate, to be waited for by nobody on whom a READ or a
  // page's WRITE depends.

  // Returns when the kernel has dropped its pages of `range`. `replaced` is held until then.
  Task<void> drop_pages(InodeRef inode, ByteRange range,
                        std::shared_ptr<const ReplacedBytes> replaced = nullptr);
  // The same of all its pages of those files that nobody has open, after changes by somebody else:
  // then none need be dropped when a change is found, for which the kernel would ignore the answer
  // that tells of it.
  Task<void> drop_unused_pages(std::vector<InodeRef> files);
  // The same of pages that a WRITE has overtaken which is answered only then: so nobody reads them
  // once write(2) has returned. The kernel may wait for a page that this WRITE itself has locked,
  // which then is as new as the WRITE; therefore the wait has a bound.
  Task<void> drop_overtaken(InodeRef inode, ByteRange pages,
                            std::shared_ptr<const ReplacedBytes> replaced);
  // The kernel does so itself once a program takes the reply to an OPEN without keep_cache, which
  // is next.
  void kernel_drops_pages(const InodeRef& inode);

  // --- Attributes

  // Returns when the kernel believes attributes of the files no more.
  Task<void> expire_attributes(std::vector<InodeRef> files);
  // Whether the kernel, which keeps pages of the file, may not have taken the answer to a change
  // yet that has made it longer without them (UncachedGrowth). It must not learn the new end from
  // any other answer: on one that makes the file longer it clears its pages from there on
  // (fuse_change_attributes()), perhaps much later, when they are full of what was appended since.
  // False when there is anything else to tell that it goes by: another end, owner or mode.
  bool has_unstable_size(const Inode& inode) const;
  // Before an answer that tells attributes: makes the kernel ignore them if that is so.
  Task<void> tell_no_end(InodeRef inode);
  // Before an answer to GETATTR that the kernel ignores: whoever has asked may map the file up to
  // the size that it shows.
  Task<void> tell_growth(InodeRef inode);

 private:
  MountCore& core_;
};

// A change under way that may make a file longer. The kernel learns of that from the answer, so
// nobody else tells it of an end meanwhile (Notifications::tell_growth()).
class OwnGrowth {
 public:
  explicit OwnGrowth(InodeRef inode) : inode_(std::move(inode)) { ++inode_->kernel.growing; }
  ~OwnGrowth() { --inode_->kernel.growing; }
  OwnGrowth(const OwnGrowth&) = delete;
  OwnGrowth& operator=(const OwnGrowth&) = delete;

 private:
  const InodeRef inode_;
};

// One that does, and of which the kernel keeps no copy (Notifications::has_unstable_size()).
class UncachedGrowth {
 public:
  UncachedGrowth(MountCore& core, InodeRef inode);
  ~UncachedGrowth();
  UncachedGrowth(const UncachedGrowth&) = delete;
  UncachedGrowth& operator=(const UncachedGrowth&) = delete;

 private:
  const std::weak_ptr<MountCore*> core_;  // the mount may end meanwhile
  const InodeRef inode_;
};

}  // namespace foliofs::vfs
