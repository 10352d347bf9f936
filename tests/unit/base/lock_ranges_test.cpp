// Ranges of locked bytes: splits, merges, conflicts; and a comparison with an array of bytes.
#include "foliofs/base/lock_ranges.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace foliofs {
namespace {

constexpr LockType kRead = LockType::kRead, kWrite = LockType::kWrite;
using Pieces = std::vector<LockRange>;

Pieces pieces_of(const LockRanges& ranges) {
  Pieces pieces;
  ranges.for_each([&](const LockRange& piece) { pieces.push_back(piece); });
  return pieces;
}

TEST(LockRanges, UnlockingTheMiddleLeavesTwoPieces) {
  LockRanges ranges;
  ranges.lock({0, kLastLockByte, kWrite});
  ranges.unlock(10, 19);
  EXPECT_EQ(pieces_of(ranges), (Pieces{{0, 9, kWrite}, {20, kLastLockByte, kWrite}}));
  ranges.unlock(0, kLastLockByte);
  EXPECT_TRUE(ranges.empty());
}

TEST(LockRanges, NeighboursOfOneTypeBecomeOne) {
  LockRanges ranges;
  ranges.lock({0, 9, kRead});
  ranges.lock({20, 29, kRead});
  ranges.lock({10, 19, kRead});
  EXPECT_EQ(pieces_of(ranges), (Pieces{{0, 29, kRead}}));
  ranges.lock({30, 39, kWrite});
  EXPECT_EQ(ranges.size(), 2u);
}

TEST(LockRanges, ANewTypeReplacesTheOldOnItsBytesOnly) {
  LockRanges ranges;
  ranges.lock({0, 99, kRead});
  ranges.lock({40, 59, kWrite});
  EXPECT_EQ(pieces_of(ranges), (Pieces{{0, 39, kRead}, {40, 59, kWrite}, {60, 99, kRead}}));
  ranges.lock({40, 59, kRead});
  EXPECT_EQ(pieces_of(ranges), (Pieces{{0, 99, kRead}}));
}

TEST(LockRanges, ConflictsAreOfWritersOnCommonBytes) {
  LockRanges ranges;
  ranges.lock({10, 19, kRead});
  ranges.lock({30, 39, kWrite});
  EXPECT_FALSE(ranges.find_conflict({0, 29, kRead}));
  EXPECT_EQ(ranges.find_conflict({0, 29, kWrite}), (LockRange{10, 19, kRead}));
  EXPECT_EQ(ranges.find_conflict({0, 30, kRead}), (LockRange{30, 39, kWrite}));
  EXPECT_FALSE(ranges.find_conflict({20, 29, kWrite}));
  EXPECT_EQ(ranges.find(15, 15), (LockRange{10, 19, kRead}));
  EXPECT_FALSE(ranges.find(20, 29));
}

TEST(LockRanges, AgreeWithAnArrayOfBytes) {
  std::mt19937 random(7);
  LockRanges ranges;
  std::array<int, 64> bytes{};  // 0 free, 1 read, 2 write
  for (int step = 0; step < 20'000; ++step) {
    std::uint64_t start = random() % bytes.size(), end = random() % bytes.size();
    if (start > end) std::swap(start, end);
    const int what = static_cast<int>(random() % 3);
    for (std::uint64_t at = start; at <= end; ++at) bytes[at] = what;
    if (what == 0) {
      ranges.unlock(start, end);
    } else {
      ranges.lock({start, end, what == 1 ? kRead : kWrite});
    }
    Pieces expected;
    for (std::uint64_t at = 0; at < bytes.size(); ++at) {
      if (bytes[at] == 0) continue;
      if (at > 0 && bytes[at] == bytes[at - 1]) {
        expected.back().end = at;
      } else {
        expected.push_back({at, at, bytes[at] == 1 ? kRead : kWrite});
      }
    }
    ASSERT_EQ(pieces_of(ranges), expected) << "step " << step;
  }
}

}  // namespace
}  // namespace foliofs
