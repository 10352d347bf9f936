#include "foliofs/cache/readahead.h"

namespace foliofs::cache {

namespace {
constexpr std::uint64_t kFirstWindow = 256 << 10;
// How much is fetched at a time, once the window is larger than twice this.
constexpr std::uint64_t kStep = 1 << 20;
}  // namespace

ByteRange Readahead::advance(ByteRange read, bool cached, std::uint64_t size,
                             std::uint64_t window_max) {
  // The kernel issues the reads of one reader in parallel, so "sequential" allows for a little
  // disorder: a read in what is already being fetched, or just behind it, counts as sequential.
  const bool from_start = read.begin == 0 && next_ == 0;
  const std::uint64_t slack = std::max<std::uint64_t>(window_, 128 << 10);
  const bool sequential =
      from_start || (next_ != 0 && read.begin <= next_ + slack && read.end + slack >= next_);
  if (!sequential || window_max == 0) {
    *this = Readahead{};
    next_ = read.end;
    return {};
  }
  waited_ = waited_ || !cached;
  next_ = std::max(next_, read.end);
  fetched_ = std::max(fetched_, read.end);
  if (window_ == 0) {
    window_ = std::min(kFirstWindow, window_max);
  } else {
    // Fetch again only when enough has been consumed, in one piece, not a little each time.
    const std::uint64_t step = std::min(window_ / 2, kStep);
    if (fetched_ - next_ > window_ - step) return {};
    // A reader that has waited is held up by the round trip: grow fast, to need few of those.
    if (waited_) {
      window_ *= 4;
    } else if (window_ < 2 * kStep) {
      window_ *= 2;
    }
    window_ = std::min(window_, window_max);
  }
  waited_ = false;
  const ByteRange ahead{fetched_, std::min(size, next_ + window_)};
  if (ahead.empty()) return {};
  fetched_ = ahead.end;
  return ahead;
}

}  // namespace foliofs::cache
