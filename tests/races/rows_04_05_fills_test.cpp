// Rows 4 and 5: fills whose replies come after the folio has changed.
#include "race_fixture.h"

namespace foliofs::cache {
namespace {

// --- Row 4: a fill issued before the invalidation, its reply after, is not published -------------

// SEMANTICS: no-old-bytes
TEST_P(RaceTable, Row04_ReplyAfterTheInvalidation) {
  open(std::string(kFolio, 'a'));
  store->hold_reads = true;
  auto reader = start_read(0, 4);
  ASSERT_EQ(store->reads_waiting, 1u);
  store->set_contents(std::string(kFolio, 'b'));
  EXPECT_FALSE(invalidate().error);
  store->release();
  finish(reader);
  EXPECT_EQ(read(0, 4), "bbbb");
}

TEST_P(RaceTable, Row04_ReplyWhileUnmapping) {
  open(std::string(kFolio, 'a'));
  store->hold_reads = true;
  auto reader = start_read(0, 4);
  store->set_contents(std::string(kFolio, 'b'));
  at(FaultPoint::kWhileUnmapping, [&] {
    ASSERT_EQ(store->reads_waiting, 1u);
    store->release();
    loop.settle();
  });
  EXPECT_FALSE(invalidate().error);
  finish(reader);
  EXPECT_EQ(read(0, 4), "bbbb");
}

TEST_P(RaceTable, Row04_ReplyAfterUnmap) {
  open(std::string(kFolio, 'a'));
  store->hold_reads = true;
  auto reader = start_read(0, 4);
  store->set_contents(std::string(kFolio, 'b'));
  at(FaultPoint::kAfterUnmap, [&] {
    ASSERT_EQ(store->reads_waiting, 1u);
    store->release();
    loop.settle();
  });
  EXPECT_FALSE(invalidate().error);
  finish(reader);
  EXPECT_EQ(read(0, 4), "bbbb");
}

// The folio is cached, because other bytes of it have been stored to.
TEST_P(RaceTable, Row04_ReplyBeforeErase) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(kFolio - 1, "x"));
  store->hold_reads = true;
  auto reader = start_read(0, 4);
  store->set_contents(std::string(kFolio, 'b'));
  at(FaultPoint::kBeforeErase, [&] {
    ASSERT_EQ(store->reads_waiting, 1u);
    store->release();
    loop.settle();
    mapped_store(8, "x");  // so that the folio outlives the discard
  });
  expect_honest(invalidate());
  finish(reader);
  EXPECT_EQ(read(0, 4), "bbbb");
}

TEST_P(RaceTable, Row04_InvalidationBetweenReplyAndPublication) {
  open(std::string(kFolio, 'a'));
  windows.stop_at(FaultPoint::kAfterFill);
  auto reader = start_read(0, 4);
  ASSERT_TRUE(windows.stopped());
  store->set_contents(std::string(kFolio, 'b'));
  EXPECT_FALSE(invalidate().error);
  windows.go_on();
  finish(reader);
  EXPECT_EQ(read(0, 4), "bbbb");
}

TEST_P(RaceTable, Row04_ReadAheadFromBefore) {
  CacheConfig config = small_config();
  config.readahead = 16 * kFolio;
  open(std::string(32 * kFolio, 'a'), config);
  Readahead readahead;
  store->hold_reads = true;
  auto reader = loop.start(mapping->read({0, kFolio}, &readahead));
  ASSERT_EQ(store->reads_waiting, 2u) << "what is read, and what is fetched ahead";
  store->set_contents(std::string(32 * kFolio, 'b'));
  EXPECT_FALSE(invalidate().error);
  store->release();
  finish(reader);
  loop.settle();
  EXPECT_EQ(read(0, 32 * kFolio), std::string(32 * kFolio, 'b'));
}

// The fill is of the new generation, so the generation does not void it. The server answered it
// before the WRITE, and its reply arrives after the written bytes have been dropped.
TEST_P(RaceTable, Row04_ReplyThatAWriteAndADropHaveOvertaken) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(kFolio - 1, "x"));
  Future<Result<ReadResult>> reader;
  at(FaultPoint::kWhileUnmapping, [&] {
    store->hold_reads = true;
    reader = start_read(8, 16);
    mapped_store(0, "new");
  });
  EXPECT_FALSE(invalidate().error);
  ASSERT_EQ(store->reads_waiting, 1u);
  EXPECT_EQ(on_server(0, 4), "newa");
  store->release();
  finish(reader);
  EXPECT_EQ(read(0, 4), "newa");
}

// --- Row 5: a fill into a folio that is partly dirty fills only bytes that are not ---------------

TEST_P(RaceTable, Row05_StoreBetweenReplyAndPublication) {
  open(std::string(kFolio, 'a'));
  read(0, kFolio);
  store->set_contents(std::string(kFolio, 'b'));
  std::string seen;
  at(FaultPoint::kWhileUnmapping, [&]() -> Task<void> { seen = co_await fault(0, 8); });
  at(FaultPoint::kAfterFill, [&] { mapped_store(2, "xx"); });
  EXPECT_FALSE(invalidate().error);
  EXPECT_EQ(seen, "bbxxbbbb");
  EXPECT_EQ(on_server(0, 8), "bbxxbbbb");
  EXPECT_EQ(read(0, 8), "bbxxbbbb");
}

TEST_P(RaceTable, Row05_FillAroundBytesInFlight) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(2, "xx"));
  store->set_contents(std::string(kFolio, 'b'));
  std::string seen;
  at(FaultPoint::kAfterSend, [&]() -> Task<void> { seen = co_await fault(0, 8); });
  EXPECT_FALSE(flush().error);
  EXPECT_EQ(seen, "bbxxbbbb");
  expect_not_lost(0, "bbxxbbbb");
}

// One folio has bytes in flight, and newer dirty ones over part of them.
TEST_P(RaceTable, Row05_FillAroundNewerBytesOverThoseInFlight) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(2, "xxxx"));
  store->set_contents(std::string(kFolio, 'b'));
  std::string seen;
  at(FaultPoint::kAfterSend, [&]() -> Task<void> {
    mapped_store(4, "yyyy");
    seen = co_await fault(0, 10);
  });
  EXPECT_FALSE(flush().error);
  EXPECT_EQ(seen, "bbxxyyyybb");
  expect_not_lost(0, "bbxxyyyybb");
}

TEST_P(RaceTable, Row05_FillAroundWhatAnInvalidationKept) {
  open(std::string(kFolio, 'a'));
  read(0, kFolio);
  ASSERT_TRUE(write(2, "xx"));
  ASSERT_TRUE(write(6, "yy"));
  ASSERT_TRUE(write(kFolio - 1, "z"));
  store->set_contents(std::string(kFolio, 'b'));
  auto report = loop.run(mapping->invalidate({GetParam(), InvalidateReason::kUser, false}));
  EXPECT_EQ(report.error, Errno(EBUSY));
  at(FaultPoint::kAfterFill, [&] { mapped_store(10, "w"); });
  std::string expected(kFolio, 'b');
  expected.replace(2, 2, "xx").replace(6, 2, "yy").replace(10, 1, "w").replace(kFolio - 1, 1, "z");
  EXPECT_EQ(read(0, kFolio), expected);
  expect_not_lost(0, expected);
}

}  // namespace
}  // namespace foliofs::cache
