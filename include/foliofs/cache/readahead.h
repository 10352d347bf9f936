// Readahead: how far one open file is read ahead of its reader.
//
// While reads are sequential the window doubles, up to 2 MiB. Whenever a read has had to wait for
// its bytes the window grows fourfold, up to `window_max`: so it approaches what the path to the
// server holds (bandwidth times delay), and does not grow much beyond. A read elsewhere resets it.
// This class only decides what to fetch; the mapping fetches it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "foliofs/base/byte_range.h"

namespace foliofs::cache {

class Readahead {
 public:
  // The reader asks for `read` in a file of `size` bytes; `cached` says whether all of `read` was
  // cached. The window may grow to `window_max`. Returns what to fetch ahead; empty for nothing.
  ByteRange advance(ByteRange read, bool cached, std::uint64_t size, std::uint64_t window_max);

 private:
  std::uint64_t next_ = 0;     // where a sequential reader would go on
  std::uint64_t window_ = 0;   // bytes; 0 while the pattern is random
  std::uint64_t fetched_ = 0;  // end of what has been fetched ahead, or is being fetched
  bool waited_ = false;        // a read has had to wait since the last fetch ahead
};

}  // namespace foliofs::cache
