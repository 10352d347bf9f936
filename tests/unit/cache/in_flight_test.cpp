// How many WRITEs of one mapping are in flight at a time, and when hybrid stops flushing and gates.
#include "tests/unit/cache/fixture.h"

namespace foliofs::cache {
namespace {

constexpr InvalidateRequest kSync{InvalidateMode::kHybrid, InvalidateReason::kSync, true};
constexpr InvalidateRequest kUser{InvalidateMode::kHybrid, InvalidateReason::kUser, true};

class CacheInFlightTest : public CacheTest {
 protected:
  // Makes one byte dirty in each of `count` folios.
  void dirty_here_and_there(std::uint64_t count) {
    open(std::string(count * kFolio, '.'));
    for (std::uint64_t folio = 0; folio < count; ++folio) {
      ASSERT_TRUE(write(folio * kFolio + 7, "x"));
    }
  }
};

TEST_F(CacheInFlightTest, BytesHereAndThereGoInOneWriteUpToItsBound) {
  dirty_here_and_there(kMaxWriteRanges + 44);
  EXPECT_EQ(flush(InvalidateMode::kHybrid).write_calls, 2u);
  ASSERT_EQ(store->writes.size(), 2u);
  EXPECT_EQ(store->writes[0].ranges.size(), kMaxWriteRanges);
  EXPECT_EQ(store->writes[1].ranges.size(), 44u);
  EXPECT_EQ(mapping->dirty_bytes(), 0u);
  for (std::size_t at = 0; at < store->file.size(); ++at) {
    ASSERT_EQ(static_cast<char>(store->file[at]), at % kFolio == 7 ? 'x' : '.') << at;
  }
}

TEST_F(CacheInFlightTest, OneThatFailsIsTriedRangeByRange) {
  dirty_here_and_there(5);
  store->no_room.add({2 * kFolio, 3 * kFolio});
  auto report = flush(InvalidateMode::kHybrid);
  EXPECT_EQ(report.error, Errno(ENOSPC));
  EXPECT_EQ(report.write_calls, 6u);
  EXPECT_EQ(mapping->dirty_bytes(), 1u) << "what there was room for is clean";
  EXPECT_EQ(store->contents()[4 * kFolio + 7], 'x');
  store->no_room = {};
  EXPECT_FALSE(flush(InvalidateMode::kHybrid).error);
  EXPECT_EQ(store->contents()[2 * kFolio + 7], 'x');
}

TEST_F(CacheInFlightTest, OneThatFailsBecauseTheServerIsAwayIsNotTriedAgain) {
  dirty_here_and_there(5);
  store->write_error = Errno(ETIMEDOUT);
  auto report = flush(InvalidateMode::kHybrid);
  EXPECT_EQ(report.error, Errno(ETIMEDOUT));
  EXPECT_EQ(report.write_calls, 1u);
  EXPECT_EQ(mapping->dirty_bytes(), 5u);
}

TEST_F(CacheInFlightTest, LargeWritesAreBoundedByTheirBytes) {
  CacheConfig config = small_config();
  config.max_io = 64 << 10;
  open("", config);
  ASSERT_TRUE(write(0, std::string(1 << 20, 'x')));
  store->hold_writes = true;
  auto flushed = loop.start(mapping->flush(kSync));
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
  // As many bytes as the round has flushed are dirty again when it ends.
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
