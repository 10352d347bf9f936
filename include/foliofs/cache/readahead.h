// Readahead: how far one open file is read ahead of its reader.
//
// The window doubles while reads are sequential and collapses when they are not, as the kernel's
// ondemand_readahead does; it decides only, the mapping fetches.
#pragma once

#include <algorithm>
#include <cstdint>

#include "foliofs/base/byte_range.h"

namespace foliofs::cache {

class Readahead {
 public:
  // The reader asks for `read` of a file of `size` bytes; the window may grow to `window_max`.
  // Returns what to fetch beyond `read`; empty for nothing.
  ByteRange advance(ByteRange read, std::uint64_t size, std::uint64_t window_max);

 private:
  std::uint64_t next_ = 0;     // where a sequential reader would go on
  std::uint64_t window_ = 0;   // bytes; 0 while the pattern is random
  std::uint64_t fetched_ = 0;  // end of what has been asked for ahead
};

}  // namespace foliofs::cache
