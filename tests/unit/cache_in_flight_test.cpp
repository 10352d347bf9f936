// How many WRITEs of one mapping are in flight at a time, and when hybrid stops flushing and gates.
#include "tests/unit/cache_fixture.h"

namespace foliofs::cache {
namespace {

constexpr InvalidateRequest kClose{InvalidateMode::kHybrid, InvalidateReason::kClose, true};
constexpr InvalidateRequest kUser{InvalidateMode::kHybrid, InvalidateReason::kUser, true};

class CacheInFlightTest : public CacheTest {
 protected:
  // One dirty byte in each of `count` folios: as many WRITEs.
  void dirty_here_and_there(std::uint64_t count) {
    for (std::uint64_t folio = 0; folio < count; ++folio) {
      ASSERT_TRUE(write(folio * kFolio + 7, "x"));
    }
  }
};

TEST_F(CacheInFlightTest, SmallWritesOfAPassThatIsWaitedForGoManyAtATime) {
  open(std::string(200 * kFolio, '.'));
  dirty_here_and_there(200);
  store->hold_writes = true;
  auto flushed = loop.start(mapping->flush(kClose));
  EXPECT_EQ(store->writes_waiting, 4 * small_config().writes_in_flight);
  store->release();
  loop.finish([&] { return flushed->has_value(); });
  EXPECT_EQ((*flushed)->write_calls, 200u);
  EXPECT_EQ(mapping->dirty_bytes(), 0u);
}

TEST_F(CacheInFlightTest, WhatNobodyWaitsForLeavesRoomForOthers) {
  open(std::string(200 * kFolio, '.'));
  dirty_here_and_there(200);
  store->hold_writes = true;
  auto drained = loop.start(cache->flush_all({}));
  EXPECT_EQ(store->writes_waiting, small_config().writes_in_flight);
  store->release();
  loop.finish([&] { return drained->has_value(); });
}

TEST_F(CacheInFlightTest, LargeWritesAreBoundedByTheirBytes) {
  CacheConfig config = small_config();
  config.max_io = 64 << 10;
  open("", config);
  ASSERT_TRUE(write(0, std::string(1 << 20, 'x')));
  store->hold_writes = true;
  auto flushed = loop.start(mapping->flush(kClose));
  EXPECT_EQ(store->writes_waiting, config.writes_in_flight);
  store->release();
  loop.finish([&] { return flushed->has_value(); });
  EXPECT_EQ((*flushed)->write_calls, 16u);
}

TEST_F(CacheInFlightTest, HybridGatesWhenWritersAreFasterThanTheStore) {
  open();
  const std::string three(3 * kFolio, 'a');
  ASSERT_TRUE(write(0, three));
  store->hold_writes = true;
  auto invalidated = loop.start(mapping->invalidate(kUser));
  ASSERT_EQ(store->writes.size(), 1u);
  // As much as the round has found is dirty again when it ends.
  ASSERT_TRUE(mapping->try_write(0, bytes(three), WriteSource::kSystemCall));
  store->release_write(0);
  loop.settle();
  ASSERT_EQ(store->writes.size(), 2u);
  EXPECT_FALSE(mapping->try_write(0, bytes(three), WriteSource::kSystemCall));
  store->release();
  loop.finish([&] { return invalidated->has_value(); });
  EXPECT_EQ((*invalidated)->folios_laundered, 3u);
  EXPECT_FALSE((*invalidated)->error);
}

TEST_F(CacheInFlightTest, HybridGatesNobodyWhileRoundsGain) {
  open();
  const std::string three(3 * kFolio, 'a');
  ASSERT_TRUE(write(0, three));
  store->hold_writes = true;
  auto invalidated = loop.start(mapping->invalidate(kUser));
  ASSERT_TRUE(mapping->try_write(0, bytes("bbb"), WriteSource::kSystemCall));
  store->release_write(0);
  loop.settle();
  ASSERT_EQ(store->writes.size(), 2u);
  EXPECT_TRUE(mapping->try_write(2 * kFolio, bytes("c"), WriteSource::kSystemCall));
  store->release();
  loop.finish([&] { return invalidated->has_value(); });
  EXPECT_EQ((*invalidated)->folios_laundered, 0u);
}

}  // namespace
}  // namespace foliofs::cache
