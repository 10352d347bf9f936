// The arena: it reuses memory, keeps to its limit, and returns unused memory to the system.
#include "src/cache/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "foliofs/cache/buffer.h"

namespace foliofs::cache {
namespace {

constexpr std::size_t kPage = Arena::kPageBytes;
constexpr std::size_t kRegion = Region::kBytes;

struct Taken {
  Arena::Piece piece;
  std::size_t bytes;
};

class ArenaTest : public ::testing::Test {
 protected:
  ~ArenaTest() override {
    for (const Taken& taken : taken_)
      arena_.free(*taken.piece.region, taken.piece.data, taken.bytes);
  }

  std::byte* take(std::size_t bytes) {
    const Arena::Piece piece = arena_.allocate(bytes);
    EXPECT_NE(piece.data, nullptr);
    std::memset(piece.data, 0x5a, bytes);
    taken_.push_back({piece, bytes});
    return piece.data;
  }
  void give_back(std::size_t index) {
    arena_.free(*taken_[index].piece.region, taken_[index].piece.data, taken_[index].bytes);
    taken_.erase(taken_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  void give_all_back() {
    while (!taken_.empty()) give_back(taken_.size() - 1);
  }

  Arena arena_;
  std::vector<Taken> taken_;
};

TEST_F(ArenaTest, WhatComesBackIsUsedAgain) {
  for (int i = 0; i < 32; ++i) take(64 << 10);
  EXPECT_EQ(arena_.resident_bytes(), kRegion);
  for (int round = 0; round < 100; ++round) {
    std::byte* before = taken_.front().piece.data;
    give_back(0);
    EXPECT_EQ(take(64 << 10), before);
  }
  EXPECT_EQ(arena_.resident_bytes(), kRegion);
}

TEST_F(ArenaTest, WhatAPieceLeavesOfItsBlockServesSmallerOnes) {
  for (int i = 0; i < 64; ++i) take(5 * kPage);  // not a power of two
  for (int i = 0; i < 64; ++i) take(2 * kPage);
  for (int i = 0; i < 64; ++i) take(kPage);
  EXPECT_EQ(arena_.resident_bytes(), kRegion);
}

TEST_F(ArenaTest, WhatServesNobodyGoesBackAtTheLimit) {
  arena_.set_limit(16 * kRegion);
  for (int i = 0; i < 1200; ++i) take(5 * kPage);  // 64 fit into a region
  EXPECT_LE(arena_.resident_bytes(), 16 * kRegion);
}

TEST_F(ArenaTest, NeighboursThatAreFreeBecomeALargePieceAgain) {
  for (unsigned i = 0; i < Region::kPages; ++i) take(kPage);
  give_all_back();
  take(kRegion);
  EXPECT_EQ(arena_.resident_bytes(), kRegion);
}

TEST_F(ArenaTest, APieceMayComeBackInParts) {
  const Arena::Piece piece = arena_.allocate(1 << 20);
  for (std::size_t at = 0; at < 1 << 20; at += 3 * kPage) {
    arena_.free(*piece.region, piece.data + at, std::min(3 * kPage, (std::size_t{1} << 20) - at));
  }
  EXPECT_EQ(arena_.free_bytes(), kRegion);
  take(kRegion);
  EXPECT_EQ(arena_.resident_bytes(), kRegion);
}

TEST_F(ArenaTest, FreePiecesGiveWayToTheLimit) {
  arena_.set_limit(8 * kRegion);
  for (unsigned i = 0; i < 8 * Region::kPages; ++i) take(kPage);
  // Gives back every other page, so that nothing larger fits anywhere.
  for (std::size_t i = 0; i < taken_.size(); ++i) give_back(i);
  for (int i = 0; i < 3; ++i) take(kRegion);
  EXPECT_LE(arena_.resident_bytes(), 8 * kRegion);
  // Pages whose memory went back to the system can be taken again like others.
  while (arena_.resident_bytes() - arena_.free_bytes() < 8 * kRegion) take(kPage);
  EXPECT_LE(arena_.resident_bytes(), 8 * kRegion);
}

TEST_F(ArenaTest, WhatNobodyNeedsGoesBack) {
  for (int i = 0; i < 64; ++i) take(1 << 20);
  give_all_back();
  EXPECT_EQ(arena_.free_bytes(), 64u << 20);
  EXPECT_TRUE(arena_.keeps_much());
  arena_.trim();
  EXPECT_EQ(arena_.free_bytes(), 64u << 20) << "it has just been in use";
  take(16 << 10);
  arena_.trim();
  EXPECT_LE(arena_.resident_bytes(), 3 * kRegion);
  arena_.trim();
  EXPECT_FALSE(arena_.keeps_much());
}

TEST_F(ArenaTest, WhatIsNeededAgainAndAgainStays) {
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 32; ++i) take(1 << 20);
    give_all_back();
    arena_.trim();
    EXPECT_EQ(arena_.free_bytes(), 32u << 20);
  }
}

TEST_F(ArenaTest, NoTwoPiecesOverlap) {
  std::mt19937 random(1);
  std::map<std::byte*, std::size_t> held;
  arena_.set_limit(20 << 20);
  for (int step = 0; step < 20000; ++step) {
    const std::size_t bytes = (1 + random() % (random() % 8 == 0 ? 256 : 16)) * kPage;
    if (random() % 2 == 0 && arena_.resident_bytes() - arena_.free_bytes() + bytes <= 16 << 20) {
      std::byte* data = take(bytes);
      const auto next = held.lower_bound(data);
      ASSERT_TRUE(next == held.end() || data + bytes <= next->first);
      ASSERT_TRUE(next == held.begin() || std::prev(next)->first + std::prev(next)->second <= data);
      held[data] = bytes;
    } else if (!taken_.empty()) {
      const std::size_t index = random() % taken_.size();
      ASSERT_EQ(taken_[index].piece.data[taken_[index].bytes - 1], std::byte{0x5a});
      held.erase(taken_[index].piece.data);
      give_back(index);
    }
    ASSERT_LE(arena_.resident_bytes(), 20u << 20);
    if (step % 1000 == 0) arena_.trim();
  }
}

TEST(BufferTest, IsCountedAsLongAsAnybodyHoldsIt) {
  auto use = std::make_shared<MemoryUse>();
  BufferRef buffer = Buffer::allocate(use, 5000);
  EXPECT_EQ(buffer->capacity(), 2 * kPage);
  EXPECT_EQ(use->bytes, 2 * kPage);
  BufferRef held = buffer;
  buffer.reset();
  EXPECT_EQ(use->bytes, 2 * kPage);
  held.reset();
  EXPECT_EQ(use->bytes, 0u);
}

}  // namespace
}  // namespace foliofs::cache
