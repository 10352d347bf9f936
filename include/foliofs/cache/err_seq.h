// ErrSeq: a record of writeback errors from which each open file learns of each failure once.
//
// After Linux' lib/errseq.c: the mapping records errors, each open file keeps a cursor, and a check
// moves only the cursor of the open file that asks. An error that no open file has seen yet is also
// reported to files that are opened later.
#pragma once

#include <cstdint>

#include "foliofs/base/result.h"

namespace foliofs::cache {

struct ErrCursor {
  std::uint64_t seen = 0;
};

class ErrSeq {
 public:
  void record(Errno error) {
    ++sequence_;
    last_ = error;
    seen_by_anyone_ = false;
  }

  // The initial cursor of an open file.
  ErrCursor sample() const {
    return {seen_by_anyone_ || sequence_ == 0 ? sequence_ : sequence_ - 1};
  }

  // The latest error since `cursor`, if there was one; moves the cursor past it.
  Status check(ErrCursor& cursor) {
    if (cursor.seen == sequence_) return success();
    cursor.seen = sequence_;
    seen_by_anyone_ = true;
    return last_;
  }

 private:
  std::uint64_t sequence_ = 0;
  Errno last_{EIO};
  bool seen_by_anyone_ = true;
};

}  // namespace foliofs::cache
