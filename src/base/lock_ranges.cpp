#include "foliofs/base/lock_ranges.h"

#include <iterator>

namespace foliofs {

// The first piece that does not end before `start`.
LockRanges::Pieces::const_iterator LockRanges::first_reaching(std::uint64_t start) const {
  auto piece = pieces_.upper_bound(start);
  if (piece == pieces_.begin()) return piece;
  auto before = std::prev(piece);
  return before->second.end >= start ? before : piece;
}

std::optional<LockRange> LockRanges::find(std::uint64_t start, std::uint64_t end) const {
  auto piece = first_reaching(start);
  if (piece == pieces_.end() || piece->second.start > end) return std::nullopt;
  return piece->second;
}

std::optional<LockRange> LockRanges::find_conflict(const LockRange& wanted) const {
  for (auto piece = first_reaching(wanted.start);
       piece != pieces_.end() && piece->second.start <= wanted.end; ++piece) {
    if (piece->second.conflicts(wanted)) return piece->second;
  }
  return std::nullopt;
}

void LockRanges::unlock(std::uint64_t start, std::uint64_t end) {
  auto piece = first_reaching(start);
  while (piece != pieces_.end() && piece->second.start <= end) {
    const LockRange old = piece->second;
    piece = pieces_.erase(piece);
    if (old.start < start) pieces_.emplace(old.start, LockRange{old.start, start - 1, old.type});
    if (old.end > end) pieces_.emplace(end + 1, LockRange{end + 1, old.end, old.type});
  }
}

void LockRanges::lock(LockRange range) {
  unlock(range.start, range.end);
  merge_around(pieces_.emplace(range.start, range).first);
}

void LockRanges::merge_around(Pieces::iterator piece) {
  LockRange& merged = piece->second;
  auto next = std::next(piece);
  if (next != pieces_.end() && next->first == merged.end + 1 && next->second.type == merged.type) {
    merged.end = next->second.end;
    pieces_.erase(next);
  }
  if (piece == pieces_.begin()) return;
  auto before = std::prev(piece);
  if (before->second.end + 1 != merged.start || before->second.type != merged.type) return;
  before->second.end = merged.end;
  pieces_.erase(piece);
}

}  // namespace foliofs
