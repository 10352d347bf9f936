// RefilledPages: pages of one file that the kernel may have filled behind a write's back.
//
// write(2) copies into the kernel's pages and sends its WRITE afterwards, without the pages' locks
// (fuse_perform_write()). In between, a notification may drop such a page, and a READ may bring it
// back as it was. When the WRITE comes, the kernel has older bytes than we, and keeps them, so
// these pages have to be dropped once more. Only one write(2) of a file runs at a time, under the
// inode's lock, so only the first WRITE that comes after the end of the notification can be
// affected.
//
// An open without keep_cache makes the kernel drop its pages too
// (Notifications::expect_pages_dropped()). We cannot see when it does, so pages that are read
// around that time count as refilled. What a program stores to such a page through a mapping before
// the page goes is written back: replaced_bytes.h.
#pragma once

#include <cstdint>

#include "foliofs/base/byte_range.h"

namespace foliofs::vfs {

class RefilledPages {
 public:
  // A notification is being sent; it has been handled.
  void notify() { ++notifications_; }
  void notified() { --notifications_; }
  bool notifying() const { return notifications_ > 0; }

  // A READ of `range` is answered.
  void fill(ByteRange range);

  // The pages of `write` that were filled since, as one range; empty when there are none.
  ByteRange refilled_in(ByteRange write) const;

 private:
  std::uint32_t notifications_ = 0;
  RangeSet pages_;
};

}  // namespace foliofs::vfs
