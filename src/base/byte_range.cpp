#include "foliofs/base/byte_range.h"

namespace foliofs {

namespace {

// The first range that ends after `offset`, or end().
template <class Ranges>
auto first_ending_after(Ranges& ranges, std::uint64_t offset) {
  return std::partition_point(ranges.begin(), ranges.end(),
                              [offset](const ByteRange& range) { return range.end <= offset; });
}

}  // namespace

std::uint64_t RangeSet::size() const {
  std::uint64_t bytes = 0;
  for (const ByteRange& range : ranges_) bytes += range.size();
  return bytes;
}

bool RangeSet::contains(ByteRange range) const {
  if (range.empty()) return true;
  auto found = first_ending_after(ranges_, range.begin);
  return found != ranges_.end() && found->contains(range);
}

bool RangeSet::overlaps(ByteRange range) const {
  auto found = first_ending_after(ranges_, range.begin);
  return found != ranges_.end() && found->overlaps(range);
}

RangeSet::Ranges RangeSet::missing(ByteRange range) const {
  Ranges gaps;
  std::uint64_t cursor = range.begin;
  for (auto it = first_ending_after(ranges_, range.begin);
       it != ranges_.end() && it->begin < range.end; ++it) {
    if (cursor < it->begin) gaps.push_back({cursor, it->begin});
    cursor = it->end;
  }
  if (cursor < range.end) gaps.push_back({cursor, range.end});
  return gaps;
}

RangeSet::Ranges RangeSet::present(ByteRange range) const {
  Ranges held;
  for (auto it = first_ending_after(ranges_, range.begin);
       it != ranges_.end() && it->begin < range.end; ++it) {
    held.push_back(it->intersect(range));
  }
  return held;
}

void RangeSet::add(ByteRange range) {
  if (range.empty()) return;
  // Every range that overlaps or touches the new one is merged into it.
  auto first = std::partition_point(ranges_.begin(), ranges_.end(),
                                    [&](const ByteRange& held) { return held.end < range.begin; });
  auto last = first;
  for (; last != ranges_.end() && last->begin <= range.end; ++last) {
    range.begin = std::min(range.begin, last->begin);
    range.end = std::max(range.end, last->end);
  }
  if (first == last) {
    ranges_.insert(first, range);
  } else {
    *first = range;
    ranges_.erase(first + 1, last);
  }
}

void RangeSet::add(const RangeSet& other) {
  for (const ByteRange& range : other) add(range);
}

void RangeSet::subtract(ByteRange range) {
  if (range.empty()) return;
  auto it = first_ending_after(ranges_, range.begin);
  while (it != ranges_.end() && it->begin < range.end) {
    const ByteRange held = *it;
    const ByteRange left{held.begin, range.begin};
    const ByteRange right{range.end, held.end};
    if (!left.empty() && !right.empty()) {
      *it = left;
      ranges_.insert(it + 1, right);
      return;
    }
    if (!left.empty()) {
      *it++ = left;
    } else if (!right.empty()) {
      *it++ = right;
    } else {
      it = ranges_.erase(it);
    }
  }
}

void RangeSet::subtract(const RangeSet& other) {
  for (const ByteRange& range : other) subtract(range);
}

}  // namespace foliofs
