#include "foliofs/base/byte_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace foliofs {
namespace {

TEST(ByteRange, OfSaturatesInsteadOfWrapping) {
  EXPECT_EQ(ByteRange::of(ByteRange::kNoEnd - 1, 100).end, ByteRange::kNoEnd);
  EXPECT_EQ(ByteRange::of(~0ull, ~0ull).end, ByteRange::kNoEnd);
}

TEST(ByteRange, IntersectionOfDisjointRangesIsEmpty) {
  EXPECT_TRUE((ByteRange{0, 4}.intersect({8, 12}).empty()));
  EXPECT_TRUE((ByteRange{8, 12}.intersect({0, 4}).empty()));
}

TEST(RangeSet, MergesRangesThatTouch) {
  RangeSet set;
  set.add({0, 4});
  set.add({8, 12});
  set.add({4, 8});
  EXPECT_THAT(set, testing::ElementsAre(ByteRange{0, 12}));
}

TEST(RangeSet, SubtractSplits) {
  RangeSet set;
  set.add({0, 12});
  set.subtract({4, 8});
  EXPECT_THAT(set, testing::ElementsAre(ByteRange{0, 4}, ByteRange{8, 12}));
}

// Compares every operation with a plain array of bits, on random ranges of few bytes.
TEST(RangeSet, AgreesWithABitmap) {
  constexpr std::uint64_t kBytes = 64;
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    RangeSet set;
    std::vector<bool> bits(kBytes, false);
    for (int step = 0; step < 20; ++step) {
      std::uint64_t a = random() % kBytes, b = random() % (kBytes + 1);
      ByteRange range{std::min(a, b), std::max(a, b)};
      const bool adding = random() % 2 == 0;
      adding ? set.add(range) : set.subtract(range);
      for (auto i = range.begin; i < range.end; ++i) bits[i] = adding;

      std::uint64_t held = 0, expected_gaps = 0;
      for (bool bit : bits) held += bit;
      ASSERT_EQ(set.size(), held);
      ByteRange probe{random() % kBytes, kBytes};
      bool any = false, all = true;
      for (auto i = probe.begin; i < probe.end; ++i) {
        any = any || bits[i];
        all = all && bits[i];
        expected_gaps += !bits[i];
      }
      ASSERT_EQ(set.overlaps(probe), any);
      ASSERT_EQ(set.contains(probe), all);
      std::uint64_t gaps = 0, present = 0;
      for (ByteRange gap : set.missing(probe)) gaps += gap.size();
      for (ByteRange part : set.present(probe)) present += part.size();
      ASSERT_EQ(gaps, expected_gaps);
      ASSERT_EQ(present, probe.size() - expected_gaps);
    }
    for (auto it = set.begin(); it != set.end(); ++it) {
      ASSERT_FALSE(it->empty());
      if (it != set.begin()) {
        ASSERT_LT((it - 1)->end, it->begin) << "sorted, disjoint and merged";
      }
    }
  }
}

}  // namespace
}  // namespace foliofs
