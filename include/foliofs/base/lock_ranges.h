// LockRanges: the bytes of one file that one owner has locked, as fcntl(2) says it: a new lock
// replaces what the owner had of the same bytes, unlocking can leave two pieces, and neighbours of
// one type that touch become one.
//
// Knows nothing of other owners but how to find a conflict with what one of them wants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>

namespace foliofs {

enum class LockType : std::uint8_t { kRead, kWrite };

// The last byte that a lock can have: one that reaches it has all that there will be.
inline constexpr std::uint64_t kLastLockByte = std::numeric_limits<std::int64_t>::max();

// Bytes [start, end]. REQUIRES: start <= end <= kLastLockByte.
struct LockRange {
  std::uint64_t start = 0;
  std::uint64_t end = kLastLockByte;
  LockType type = LockType::kRead;

  bool overlaps(const LockRange& other) const { return start <= other.end && other.start <= end; }
  // Whether two owners may not have both.
  bool conflicts(const LockRange& other) const {
    return overlaps(other) && (type == LockType::kWrite || other.type == LockType::kWrite);
  }
  friend bool operator==(const LockRange&, const LockRange&) = default;
};

class LockRanges {
 public:
  // These bytes are locked so, whatever they were.
  void lock(LockRange range);
  void unlock(std::uint64_t start, std::uint64_t end);

  // The first piece that has some of these bytes, or with which another owner's `wanted` conflicts.
  std::optional<LockRange> find(std::uint64_t start, std::uint64_t end) const;
  std::optional<LockRange> find_conflict(const LockRange& wanted) const;

  bool empty() const { return pieces_.empty(); }
  std::size_t size() const { return pieces_.size(); }
  // `visit(piece)` for each, in the order of their bytes.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [start, piece] : pieces_) visit(piece);
  }

 private:
  using Pieces = std::map<std::uint64_t, LockRange>;  // by start; disjoint
  Pieces::const_iterator first_reaching(std::uint64_t start) const;
  void merge_around(Pieces::iterator piece);

  Pieces pieces_;
};

}  // namespace foliofs
