// Readahead: how far one open file is read ahead of its reader.
//
// While reads are sequential the window doubles up to 2 MiB. Whenever a read has had to wait for
// its bytes it grows fourfold, up to `window_max`: so it comes to hold what the way to the server
// does, and not much more. A read elsewhere resets it. It decides only, the mapping fetches.
#pragma once

#include <algorithm>
#include <cstdint>

#include "foliofs/base/byte_range.h"

namespace foliofs::cache {

class Readahead {
 public:
  // The reader asks for `read` of a file of `size` bytes, all of which are cached or not; the
  // window may grow to `window_max`. Returns what to fetch beyond `read`; empty for nothing.
  ByteRange advance(ByteRange read, bool cached, std::uint64_t size, std::uint64_t window_max);

 private:
  std::uint64_t next_ = 0;     // where a sequential reader would go on
  std::uint64_t window_ = 0;   // bytes; 0 while the pattern is random
  std::uint64_t fetched_ = 0;  // end of what has been asked for ahead
  bool waited_ = false;        // some read has, since more was asked for
};

}  // namespace foliofs::cache
