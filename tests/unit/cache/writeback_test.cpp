// Writeback: in which order concurrent calls end, which waits for which, and what happens to the
// rest of a file when a part of it cannot be written.
#include "tests/unit/cache/fixture.h"

namespace foliofs::cache {
namespace {

constexpr InvalidateRequest kSync{InvalidateMode::kHybrid, InvalidateReason::kSync, true};

TEST_F(CacheTest, TruncateAndAFullPassDoNotWaitForEachOther) {
  open();
  // More WRITEs than may be in flight, so that the pass waits with a WRITE already gathered.
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(write(2 * i * kFolio, "x"));
  store->hold_writes = true;
  auto flushed = loop.start(mapping->flush(kSync));
  auto truncated = loop.start(mapping->truncate(kFolio, [this]() -> Task<Status> {
    store->file.resize(kFolio);
    co_return success();
  }));
  EXPECT_FALSE(truncated->has_value());
  store->release();
  loop.finish([&] { return flushed->has_value() && truncated->has_value(); });
  EXPECT_EQ(mapping->size(), kFolio);
  EXPECT_FALSE(flush(InvalidateMode::kHybrid).error);
  EXPECT_EQ(store->file.size(), kFolio) << "nothing extends the file again";
}

TEST_P(EveryMode, AnAppenderDoesNotKeepAFlushFromEnding) {
  open();
  ASSERT_TRUE(write(0, std::string(kFolio, 'a')));
  std::uint64_t end = kFolio;
  const std::string more(kFolio, 'b');
  at_each(FaultPoint::kAfterSnapshot, [&] {
    if (end >= 200 * kFolio) return;
    ASSERT_TRUE(mapping->try_write(end, bytes(more), WriteSource::kPageWriteback));
    end += kFolio;
  });
  auto report = flush(GetParam());
  windows.disarm();
  EXPECT_LT(report.write_calls, 20u) << "only what was dirty when the flush began is its business";
}

TEST_F(CacheTest, WritesMayBeAnsweredInAnyOrder) {
  open_with_small_writes("", 3);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(write(2 * i * kFolio, std::string(3, char('0' + i))));
  store->hold_writes = true;
  auto flushed = loop.start(mapping->flush(kSync));
  ASSERT_EQ(store->writes_waiting, 4u);
  ASSERT_TRUE(mapping->try_write(4 * kFolio, bytes("two"), WriteSource::kSystemCall));
  for (std::size_t last = 4; last-- > 0;) {
    store->release_write(last);
    loop.settle();
    EXPECT_EQ(store->file.size() > 2 * last * kFolio, true);
  }
  store->release();
  loop.finish([&] { return flushed->has_value(); });
  EXPECT_EQ(store->contents().substr(4 * kFolio, 3), "two");
  EXPECT_EQ(mapping->dirty_bytes(), 0u);
  EXPECT_EQ(cache->stats().writeback_bytes, 0u);
}

TEST_F(CacheTest, AFragmentedFolioDoesNotFloodTheServer) {
  open(std::string(kFolio, '.'));
  for (std::uint64_t at = 0; at < 200; at += 2) ASSERT_TRUE(write(at, "x"));
  EXPECT_EQ(flush(InvalidateMode::kHybrid).write_calls, 1u);
  EXPECT_EQ(store->contents().substr(0, 6), "x.x.x.");
}

TEST_F(CacheTest, LaunderWritesAFolioThatIsLargerThanOneWrite) {
  CacheConfig config = small_config();
  config.folio_size = 64 << 10;
  config.max_io = 16 << 10;
  open("", config);
  const std::string data(64 << 10, 'L');
  ASSERT_TRUE(write(0, data));
  auto report = invalidate(InvalidateMode::kLaunder);
  EXPECT_FALSE(report.error);
  EXPECT_EQ(report.write_calls, 4u);
  EXPECT_EQ(report.folios_laundered, 1u);
  EXPECT_EQ(store->contents(), data);
}

TEST_F(CacheTest, AFailureIsOverOnlyWhenTheFailedBytesAreWritten) {
  open(std::string(8 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "x"));
  store->write_error = Errno(ENOSPC);
  flush(InvalidateMode::kHybrid);
  // A pass over another part of the file succeeds, which does not end the failure.
  ASSERT_TRUE(loop.run(mapping->read_direct({4 * kFolio, 5 * kFolio})));
  EXPECT_EQ(write(6 * kFolio, "y").error(), Errno(ENOSPC));
  store->write_error.reset();
  EXPECT_TRUE(write(6 * kFolio, "y"));
}

TEST_F(CacheTest, AWriterOfAFailedFileTriesOnceAndNotAllOfIt) {
  open();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(write(2 * i * kFolio, "x"));
  store->write_error = Errno(EDQUOT);
  flush(InvalidateMode::kHybrid);
  const auto before = store->writes.size();
  EXPECT_EQ(write(kFolio, "y").error(), Errno(EDQUOT));
  EXPECT_LE(store->writes.size() - before, 1u + small_config().writes_in_flight);
}

TEST_F(CacheTest, AFileThatHangsDoesNotKeepOthersFromBeingWritten) {
  open();
  ASSERT_TRUE(write(0, "hangs"));
  store->hold_writes = true;
  auto other_store = std::make_shared<test::FakeStore>();
  auto other = cache->make_mapping(other_store, kernel, 0);
  ASSERT_TRUE(loop.run(other->write(0, bytes("goes"), WriteSource::kSystemCall)));
  loop.finish([&] { return other->dirty_bytes() == 0; });
  EXPECT_EQ(other_store->contents(), "goes");
  EXPECT_EQ(store->writes_waiting, 1u);
}

TEST_F(CacheTest, AttributesThatShrinkNothingVoidNoFill) {
  open(std::string(4 * kFolio, 'a'));
  ASSERT_TRUE(write(8 * kFolio, "tail"));
  store->hold_reads = true;
  auto reader = loop.start(mapping->read({0, 4}, nullptr));
  mapping->set_server_size(4 * kFolio);  // the server does not have the dirty tail yet
  store->release();
  loop.finish([&] { return reader->has_value(); });
  EXPECT_EQ(store->reads.size(), 1u);
  EXPECT_EQ(mapping->size(), 8 * kFolio + 4);
}

TEST_F(CacheTest, ADirectReadSeesTheHoleBeforeDirtyBytes) {
  open();
  ASSERT_TRUE(write(4 * kFolio, "tail"));
  auto direct = loop.run(mapping->read_direct({0, kFolio}));
  ASSERT_TRUE(direct);
  EXPECT_EQ(text_of(direct.value()), std::string(kFolio, '\0'));
}

TEST_F(CacheTest, AfterAFailedDirectWriteTheServerIsAsked) {
  open("0123456789");
  EXPECT_EQ(read(0, 10), "0123456789");
  store->write_error = Errno(ETIMEDOUT);  // although the server executes the WRITE
  EXPECT_EQ(loop.run(mapping->write_direct(0, bytes("DIRECT"))).error(), Errno(ETIMEDOUT));
  store->set_contents("DIRECT6789");
  EXPECT_EQ(read(0, 10), "DIRECT6789");
}

}  // namespace
}  // namespace foliofs::cache
