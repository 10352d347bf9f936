// RefilledPages: pages of one file that the kernel may have filled behind a write's back.
//
// write(2) copies into the kernel's pages and sends its WRITE afterwards, without the pages' locks
// (fuse_perform_write()). In between a notification may drop such a page, and a READ bring it back
// as it was. When the WRITE comes, the kernel has older bytes than we, and keeps them: these pages
// have to be dropped once more. One write(2) of a file runs at a time, under the inode's lock, so
// only the first WRITE that comes after the notification's end can be such a one.
// An open without keep_cache makes the kernel drop its pages too
// (Notifications::kernel_drops_pages()). At which moment it drops pages we cannot see: those that
// are read around it count as refilled. What a mapping has stored to such a page before it goes is
// written back: replaced_bytes.h.
#pragma once

#include <cstdint>

#include "foliofs/base/byte_range.h"

namespace foliofs::vfs {

class RefilledPages {
 public:
  // A notification is sent, and has been.
  void notify() { ++notifications_; }
  void notified() { --notifications_; }
  bool notifying() const { return notifications_ > 0; }

  // A READ of `range` is answered.
  void fill(ByteRange range);

  // Of the pages of `write`, those that were filled since; empty when there are none.
  ByteRange overtaken_by(ByteRange write) const;

 private:
  std::uint32_t notifications_ = 0;
  RangeSet pages_;
};

}  // namespace foliofs::vfs
