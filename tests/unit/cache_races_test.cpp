// Races of invalidation.md §2 that need no kernel and no server: each enters its window through a
// fault point or a held reply, and fails if the window was never entered.
#include "cache_fixture.h"

namespace foliofs::cache {
namespace {

// Row 1.
// SEMANTICS: nothing-dropped
TEST_P(EveryMode, WriteBetweenSnapshotAndDiscardIsNotLost) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(0, "old"));
  at_point[FaultPoint::kAfterSnapshot] = [&] {
    ASSERT_TRUE(mapping->try_write(0, bytes("new"), WriteSource::kPageWriteback));
  };
  invalidate(GetParam());
  EXPECT_EQ(points_reached, 1);
  EXPECT_EQ(read(0, 4), "newa");
  EXPECT_FALSE(flush(GetParam()).error);
  EXPECT_EQ(store->contents().substr(0, 4), "newa");
}

// SEMANTICS: nothing-dropped
TEST_P(EveryMode, WriteJustBeforeTheEraseIsNotLost) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(0, "old"));
  at_point[FaultPoint::kBeforeErase] = [&] {
    ASSERT_TRUE(mapping->try_write(1, bytes("NEW"), WriteSource::kPageWriteback));
  };
  invalidate(GetParam());
  EXPECT_EQ(points_reached, 1);
  EXPECT_EQ(read(0, 5), "oNEWa");
  EXPECT_FALSE(flush(GetParam()).error);
  EXPECT_EQ(store->contents().substr(0, 5), "oNEWa");
}

// Row 2.
// SEMANTICS: nothing-dropped
TEST_P(EveryMode, AnAcknowledgementDoesNotCleanNewerBytes) {
  open();
  ASSERT_TRUE(write(0, "1111"));
  at_point[FaultPoint::kAfterAcknowledge] = [&] {
    ASSERT_TRUE(mapping->try_write(2, bytes("22"), WriteSource::kPageWriteback));
  };
  loop.run(mapping->flush({GetParam(), InvalidateReason::kRelease, true}));
  EXPECT_EQ(points_reached, 1);
  EXPECT_FALSE(flush(GetParam()).error);
  EXPECT_EQ(store->contents(), "1122");
  EXPECT_EQ(mapping->dirty_bytes(), 0u);
}

TEST_F(CacheTest, WhatIsBeingSentNeverChanges) {
  open();
  ASSERT_TRUE(write(0, "sent"));
  store->hold_writes = true;
  auto flushing = loop.start(mapping->flush({InvalidateMode::kHybrid, {}, true}));
  ASSERT_EQ(store->writes_waiting, 1u);
  ASSERT_TRUE(write(0, "torn"));
  EXPECT_EQ(store->writes.size(), 1u) << "the newer bytes wait for the older ones' answer";
  EXPECT_EQ(cache->stats().cow_copies, 1u);
  store->write_error = Errno(EIO);  // looks at the bytes no earlier than here
  store->release();
  loop.finish([&] { return flushing->has_value(); });
  EXPECT_EQ(read(0, 4), "torn");
  store->write_error.reset();
  EXPECT_FALSE(flush(InvalidateMode::kHybrid).error);
  EXPECT_EQ(store->contents(), "torn");
}

// Row 3.
// SEMANTICS: release-writes
TEST_P(EveryMode, DirtyMappedPagesComeInWhileUnmapping) {
  open(std::string(2 * kFolio, 'a'));
  read(0, 2 * kFolio);
  int came = 0;
  kernel->on_unmap = [&](ByteRange) -> Task<void> {
    if (came++ > 0) co_return;
    auto stored = co_await mapping->write(kFolio, bytes("mapped"), WriteSource::kPageWriteback);
    EXPECT_TRUE(stored);
  };
  auto report = invalidate(GetParam());
  EXPECT_GE(came, 1);
  EXPECT_FALSE(report.error);
  EXPECT_EQ(store->contents().substr(kFolio, 7), "mappeda");
}

// SEMANTICS: no-old-bytes
TEST_P(EveryMode, AFaultAfterUnmappingSeesFreshBytes) {
  open(std::string(kFolio, 'a'));
  read(0, kFolio);
  store->set_contents(std::string(kFolio, 'b'));
  std::string seen;
  kernel->on_unmap = [&](ByteRange) -> Task<void> {
    auto fault = co_await mapping->read({0, 4}, nullptr);
    EXPECT_TRUE(fault);
    seen = text_of(fault.value());
  };
  invalidate(GetParam());
  EXPECT_EQ(seen, "bbbb") << "an old page put in again would outlive the invalidation";
}

// Row 4.
// SEMANTICS: no-old-bytes
TEST_P(EveryMode, AFillFromBeforeIsNotPublished) {
  open(std::string(kFolio, 'a'));
  store->hold_reads = true;
  auto reader = loop.start(mapping->read({0, 4}, nullptr));
  ASSERT_EQ(store->reads_waiting, 1u);
  store->set_contents(std::string(kFolio, 'b'));
  invalidate(GetParam());
  store->release();
  loop.finish([&] { return reader->has_value(); });
  EXPECT_EQ(read(0, 4), "bbbb");
}

// The fill was answered by the server before the write reached it, and arrives after the written
// bytes have been dropped.
TEST_P(EveryMode, AFillOvertakenByAWriteAndADropIsNotPublished) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(kFolio - 1, "x"));
  std::shared_ptr<std::optional<Result<ReadResult>>> reader;
  kernel->on_unmap = [&](ByteRange) -> Task<void> {
    // In the new generation: the fill is not void because of its age.
    if (store->hold_reads || !store->reads.empty()) co_return;
    store->hold_reads = true;
    reader = loop.start(mapping->read({8, 16}, nullptr));
    EXPECT_TRUE(mapping->try_write(0, bytes("new"), WriteSource::kPageWriteback));
  };
  invalidate(GetParam());
  loop.settle();
  ASSERT_EQ(store->reads_waiting, 1u);
  EXPECT_EQ(store->contents().substr(0, 4), "newa");
  store->release();
  loop.settle();
  EXPECT_EQ(read(0, 4), "newa");
}

// Row 5.
TEST_F(CacheTest, AFillDoesNotTouchBytesStoredMeanwhile) {
  open(std::string(kFolio, 'a'));
  store->hold_reads = true;
  auto reader = loop.start(mapping->read({0, 8}, nullptr));
  ASSERT_EQ(store->reads_waiting, 1u);
  ASSERT_TRUE(write(2, "xx"));
  store->release();
  loop.finish([&] { return reader->has_value(); });
  EXPECT_EQ(text_of((*reader)->value()), "aaxxaaaa");
}

// Rows 6 and 7.
TEST_F(CacheTest, TruncateWaitsForWritesInFlight) {
  open();
  ASSERT_TRUE(write(0, std::string(100, 'x')));
  store->hold_writes = true;
  auto flushing = loop.start(mapping->flush({InvalidateMode::kHybrid, {}, true}));
  ASSERT_EQ(store->writes_waiting, 1u);
  bool told = false;
  auto truncated = loop.start(mapping->truncate(10, [&]() -> Task<Status> {
    told = true;
    store->file.resize(10);
    co_return success();
  }));
  EXPECT_FALSE(told);
  store->release();
  loop.finish([&] { return flushing->has_value() && truncated->has_value(); });
  EXPECT_TRUE(told);
  EXPECT_EQ(store->file.size(), 10u);
}

TEST_F(CacheTest, NoWriteStartsWhileTheServerIsBeingTruncated) {
  open();
  ASSERT_TRUE(write(0, std::string(100, 'x')));
  WaitQueue server;
  auto truncated = loop.start(mapping->truncate(10, [&]() -> Task<Status> {
    co_await server.wait();
    store->file.resize(10);
    co_return success();
  }));
  auto flushing = loop.start(mapping->flush({InvalidateMode::kHybrid, {}, true}));
  EXPECT_TRUE(store->writes.empty());
  server.wake_all();
  loop.finish([&] { return flushing->has_value() && truncated->has_value(); });
  EXPECT_EQ(store->contents(), std::string(10, 'x'));
}

// SEMANTICS: holes-are-zeros
TEST_F(CacheTest, AFillFromBeforeTruncateBringsNoOldTail) {
  open(std::string(kFolio, 'a'));
  store->hold_reads = true;
  auto reader = loop.start(mapping->read({0, kFolio}, nullptr));
  ASSERT_EQ(store->reads_waiting, 1u);
  for (std::uint64_t size : {std::uint64_t{4}, kFolio}) {
    auto resized = loop.run(mapping->truncate(size, [&]() -> Task<Status> {
      store->file.resize(size);
      co_return success();
    }));
    ASSERT_TRUE(resized);
  }
  store->release();
  loop.finish([&] { return reader->has_value(); });
  EXPECT_EQ(read(0, 8), std::string("aaaa\0\0\0\0", 8));
}

// Row 10.
TEST_P(EveryMode, EachInvalidationCoversWhatCameBeforeIt) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(0, "1"));
  store->hold_writes = true;
  auto first = loop.start(mapping->invalidate({GetParam(), {}, true}));
  ASSERT_EQ(store->writes_waiting, 1u);
  ASSERT_TRUE(mapping->try_write(1, bytes("2"), WriteSource::kPageWriteback));
  auto second = loop.start(mapping->invalidate({GetParam(), {}, true}));
  auto third = loop.start(mapping->invalidate({GetParam(), {}, true}));
  EXPECT_FALSE(second->has_value());
  store->release();
  loop.finish([&] { return first->has_value() && second->has_value() && third->has_value(); });
  EXPECT_EQ(store->contents().substr(0, 3), "12a");
  EXPECT_EQ(mapping->dirty_bytes(), 0u);
}

}  // namespace
}  // namespace foliofs::cache
