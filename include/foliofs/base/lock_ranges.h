// LockRanges: the bytes of one file that one owner has locked, by the rules of fcntl(2): a new lock
// replaces the owner's locks on the same bytes, unlocking can leave two pieces, and touching pieces
// of one type are merged.
//
// Knows nothing of other owners, except how to find a conflict with a lock that one of them wants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>

namespace foliofs {

enum class LockType : std::uint8_t { kRead, kWrite };

// The last byte that a lock can cover. A lock that reaches it covers the file however long it
// becomes.
inline constexpr std::uint64_t kLastLockByte = std::numeric_limits<std::int64_t>::max();

// Bytes [start, end]. REQUIRES: start <= end <= kLastLockByte.
struct LockRange {
  std::uint64_t start = 0;
  std::uint64_t end = kLastLockByte;
  LockType type = LockType::kRead;

  bool overlaps(const LockRange& other) const { return start <= other.end && other.start <= end; }
  // True if two owners cannot hold both locks.
  bool conflicts(const LockRange& other) const {
    return overlaps(other) && (type == LockType::kWrite || other.type == LockType::kWrite);
  }
  friend bool operator==(const LockRange&, const LockRange&) = default;
};

class LockRanges {
 public:
  // Locks these bytes with the type of `range`, whatever their lock was before.
  void lock(LockRange range);
  void unlock(std::uint64_t start, std::uint64_t end);

  // The first piece that overlaps these bytes, or that conflicts with another owner's `wanted`.
  std::optional<LockRange> find(std::uint64_t start, std::uint64_t end) const;
  std::optional<LockRange> find_conflict(const LockRange& wanted) const;

  bool empty() const { return pieces_.empty(); }
  std::size_t size() const { return pieces_.size(); }
  // Calls visit(piece) for each piece, in the order of their bytes.
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
