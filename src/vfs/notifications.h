// Notifications: what the kernel is told of a file unasked: to drop pages, to stop believing
// attributes, and that the file's end has moved.
//
// The kernel ignores the attributes in answers to what it asked before it handled a notification
// (KernelView::ignores()), and WRITEs that are on their way may bring pages from before one
// (refilled_pages.h). So all notifications of pages and attributes go through this class, which
// notes both.
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

  // --- Pages. As with cache::KernelPages::invalidate, code on which a READ or a page's WRITE
  // depends must not wait for these.

  // Returns when the kernel has dropped its pages of `range`. `replaced` is held until then.
  Task<void> drop_pages(InodeRef inode, ByteRange range,
                        std::shared_ptr<const ReplacedBytes> replaced = nullptr);
  // The same for all pages of those `files` that nobody has open, after changes by somebody else.
  // Then none need be dropped when such a change is found, which would make the kernel ignore the
  // answer that tells of it.
  Task<void> drop_unused_pages(std::vector<InodeRef> files);
  // The same for pages that the kernel has filled with bytes older than a WRITE. The WRITE is
  // answered only after that, so nobody reads them once write(2) has returned. The kernel may wait
  // for a page that this WRITE itself has locked, and which is as new as the WRITE; therefore the
  // wait has a bound.
  Task<void> drop_refilled(InodeRef inode, ByteRange pages,
                           std::shared_ptr<const ReplacedBytes> replaced);
  // To be called just before the reply to an OPEN without keep_cache: the kernel drops its pages
  // itself once a program takes that reply.
  void expect_pages_dropped(const InodeRef& inode);

  // --- Attributes

  // Returns when the kernel has stopped believing attributes of the files.
  Task<void> expire_attributes(std::vector<InodeRef> files);
  // Whether the kernel keeps pages of the file and may not yet have taken the answer to a change
  // that has made the file longer past these pages (UncachedGrowth). It must not learn the new end
  // from any other answer: on an answer that makes the file longer it clears its pages from there
  // on (fuse_change_attributes()), perhaps much later, when they are full of what was appended
  // since. False when the kernel must learn something else that it relies on: an end that somebody
  // else has made, or another owner or mode.
  bool has_unstable_size(const Inode& inode) const;
  // Before an answer with attributes: makes the kernel ignore them if that is so.
  Task<void> hide_unstable_size(InodeRef inode);
  // Before an answer to GETATTR that the kernel ignores: the program that asked may map the file up
  // to the size that it is shown, so the kernel is told of it in another way.
  Task<void> tell_growth(InodeRef inode);

 private:
  MountCore& core_;
};

// A change under way that may make a file longer. The kernel learns of that from the answer, so it
// is not told of an end in another way meanwhile (Notifications::tell_growth()).
class OwnGrowth {
 public:
  explicit OwnGrowth(InodeRef inode) : inode_(std::move(inode)) { ++inode_->kernel.growing; }
  ~OwnGrowth() { --inode_->kernel.growing; }
  OwnGrowth(const OwnGrowth&) = delete;
  OwnGrowth& operator=(const OwnGrowth&) = delete;

 private:
  const InodeRef inode_;
};

// A change under way that makes a file longer, and of which the kernel keeps no copy
// (Notifications::has_unstable_size()).
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
