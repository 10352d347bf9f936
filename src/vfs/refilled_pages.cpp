#include "refilled_pages.h"

#include <cstddef>

namespace foliofs::vfs {

namespace {

// Beyond this, when a file is read here and there and nobody writes, all between its pages counts,
// too.
constexpr std::size_t kMaxRanges = 32;

}  // namespace

void RefilledPages::fill(ByteRange range) {
  pages_.add(whole_pages(range));
  if (pages_.count() <= kMaxRanges) return;
  pages_.add({pages_.front().begin, pages_.back().end});
}

ByteRange RefilledPages::refilled_in(ByteRange write) const {
  const RangeSet::Ranges pages = pages_.present(whole_pages(write));
  if (pages.empty()) return {};
  return {pages.front().begin, pages.back().end};
}

}  // namespace foliofs::vfs
