// ByteRange and RangeSet: half-open ranges of bytes, and sorted sets of them.
//
// Everything in foliofs that names a part of a file does so in bytes, never in page or folio
// indexes (tests/races/README.md, row 14).
#pragma once

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <limits>

namespace foliofs {

// [begin, end). Empty when end <= begin.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  static constexpr std::uint64_t kNoEnd = std::numeric_limits<std::int64_t>::max();
  static constexpr ByteRange all() { return {0, kNoEnd}; }
  static constexpr ByteRange of(std::uint64_t offset, std::uint64_t length) {
    return {offset, length > kNoEnd - std::min(offset, kNoEnd) ? kNoEnd : offset + length};
  }

  constexpr bool empty() const { return end <= begin; }
  constexpr std::uint64_t size() const { return empty() ? 0 : end - begin; }
  constexpr bool contains(ByteRange other) const {
    return other.empty() || (begin <= other.begin && other.end <= end);
  }
  constexpr bool overlaps(ByteRange other) const {
    return !empty() && !other.empty() && begin < other.end && other.begin < end;
  }
  constexpr ByteRange intersect(ByteRange other) const {
    return {std::max(begin, other.begin),
            std::max(std::max(begin, other.begin), std::min(end, other.end))};
  }
  friend constexpr bool operator==(ByteRange, ByteRange) = default;
};

// The smallest range of whole pages that contains `range`.
constexpr ByteRange whole_pages(ByteRange range) {
  constexpr std::uint64_t kPage = 4096;
  return {range.begin / kPage * kPage, (range.end + kPage - 1) / kPage * kPage};
}

// A set of bytes as sorted, disjoint ranges; neighbours that touch are merged. The cost of a change
// is linear in the number of ranges, which is small: one or two for nearly every folio.
class RangeSet {
 public:
  using Ranges = boost::container::small_vector<ByteRange, 2>;
  using value_type = ByteRange;
  using const_iterator = Ranges::const_iterator;

  bool empty() const { return ranges_.empty(); }
  std::uint64_t size() const;  // bytes
  bool contains(ByteRange range) const;
  bool overlaps(ByteRange range) const;
  // The bytes of `range` that are not in the set, in order.
  Ranges missing(ByteRange range) const;
  // The bytes of `range` that are in the set, in order.
  Ranges present(ByteRange range) const;

  void add(ByteRange range);
  void add(const RangeSet& other);
  void subtract(ByteRange range);
  void subtract(const RangeSet& other);
  void clear() { ranges_.clear(); }

  const_iterator begin() const { return ranges_.begin(); }
  const_iterator end() const { return ranges_.end(); }
  std::size_t count() const { return ranges_.size(); }
  const ByteRange& front() const { return ranges_.front(); }
  const ByteRange& back() const { return ranges_.back(); }
  friend bool operator==(const RangeSet&, const RangeSet&) = default;

 private:
  Ranges ranges_;
};

}  // namespace foliofs
