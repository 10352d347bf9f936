// Rows 6 and 7: truncation while bytes beyond the new end are on their way.
#include "race_fixture.h"

namespace foliofs::cache {
namespace {

// --- Row 6: nothing re-extends the file once truncate has replied --------------------------------

// A file of eight bytes has four dirty ones beyond its end, and is cut in the middle of those: "TA"
// stays and "IL" goes.
constexpr std::uint64_t kTail = 10, kCut = 12;
const std::string kContents(8, 'a');
const std::string kRemains("aaaaaaaa\0\0TA", kCut);

TEST_P(RaceTable, Row06_TruncateWhileUnmapping) {
  open_dirty(kContents, kTail, "TAIL");
  Future<Status> truncated;
  at(FaultPoint::kWhileUnmapping, [&] { truncated = start_truncate(kCut); });
  EXPECT_FALSE(invalidate().error);
  finish(truncated);
  expect_after_flush(kRemains);
}

TEST_P(RaceTable, Row06_TruncateAfterSnapshot) {
  open_dirty(kContents, kTail, "TAIL");
  Future<Status> truncated;
  at(FaultPoint::kAfterSnapshot, [&] { truncated = start_truncate(kCut); });
  EXPECT_FALSE(invalidate().error);
  finish(truncated);
  expect_after_flush(kRemains);
}

TEST_P(RaceTable, Row06_TruncateAfterSend) {
  open_dirty(kContents, kTail, "TAIL");
  Future<Status> truncated;
  at(FaultPoint::kAfterSend, [&] { truncated = start_truncate(kCut); });
  EXPECT_FALSE(invalidate().error);
  finish(truncated);
  expect_after_flush(kRemains);
}

// The WRITE's answer has not been handled yet: the truncation is sent only after that, and what was
// stored since the snapshot is cut as well.
TEST_P(RaceTable, Row06_TruncateAfterAcknowledgement) {
  open_dirty(kContents, kTail, "TAIL");
  Future<Status> truncated;
  at(FaultPoint::kAfterAcknowledge, [&] {
    mapped_store(kCut, "NEWER");
    truncated = start_truncate(kCut);
    EXPECT_FALSE(truncated->has_value());
  });
  expect_honest(invalidate());
  finish(truncated);
  expect_after_flush(kRemains);
}

TEST_P(RaceTable, Row06_TruncateBeforeErase) {
  open_dirty(kContents, kTail, "TAIL");
  Future<Status> truncated;
  at(FaultPoint::kBeforeErase, [&] {
    mapped_store(kCut, "NEWER");
    truncated = start_truncate(kCut);
  });
  EXPECT_FALSE(invalidate().error) << "what was stored is gone with the end of the file";
  finish(truncated);
  expect_after_flush(kRemains);
}

TEST_P(RaceTable, Row06_NoWriteStartsBeforeTheServerIsTold) {
  open_dirty(kContents, kTail, "TAIL");
  windows.stop_at(FaultPoint::kBeforeTruncate);
  auto truncated = start_truncate(kCut);
  ASSERT_TRUE(windows.stopped());
  auto flushed = start_flush();
  auto invalidated = start_invalidate();
  EXPECT_TRUE(store->writes.empty());
  windows.go_on();
  finish(truncated, flushed, invalidated);
  EXPECT_EQ(store->contents(), kRemains);
  EXPECT_EQ(mapping->size(), kCut);
}

TEST_P(RaceTable, Row06_NoWriteStartsWhileTheServerIsBeingTold) {
  open_dirty(kContents, kTail, "TAIL");
  WaitQueue server;
  auto truncated = loop.start(mapping->truncate(kCut, [&]() -> Task<Status> {
    store->file.resize(kCut);
    co_await server.wait();
    co_return success();
  }));
  ASSERT_FALSE(server.empty());
  auto flushed = start_flush();
  auto invalidated = start_invalidate();
  EXPECT_TRUE(store->writes.empty());
  server.wake_all();
  finish(truncated, flushed, invalidated);
  EXPECT_EQ(store->contents(), kRemains);
  EXPECT_EQ(mapping->size(), kCut);
}

// The kernel writes pages back while the truncation goes on, and nothing holds them up.
TEST_P(RaceTable, Row06_MappedPageComesInBeforeTheServerIsTold) {
  open_dirty(kContents, kTail, "TAIL");
  Future<InvalidateReport> invalidated;
  at(FaultPoint::kBeforeTruncate, [&] {
    mapped_store(kCut - 2, "TA++");
    mapped_store(kFolio, "MORE");
    invalidated = start_invalidate();
  });
  ASSERT_TRUE(loop.run(truncate(kCut)));
  finish(invalidated);
  expect_after_flush(kRemains);
}

// What a failed WRITE leaves dirty is cut as well, and the next attempt sends only what is left.
TEST_P(RaceTable, Row06_TruncateWhileAWriteFails) {
  open_dirty(kContents, kTail, "TAIL");
  Future<Status> truncated;
  at(FaultPoint::kAfterSend, [&] {
    store->write_error = Errno(EIO);
    truncated = start_truncate(kCut);
  });
  EXPECT_EQ(invalidate().error, Errno(EIO));
  finish(truncated);
  store->write_error.reset();
  EXPECT_EQ(mapping->dirty_bytes(), 2u);
  expect_after_flush(kRemains);
}

TEST_P(RaceTable, Row06_TruncateWhileADirectWriteIsInFlight) {
  open(kContents);
  windows.stop_at(FaultPoint::kAfterSend);
  auto stored = start_direct_store(kTail, "TAIL");
  ASSERT_TRUE(windows.stopped());
  auto truncated = start_truncate(kCut);
  auto invalidated = start_invalidate();
  EXPECT_FALSE(truncated->has_value());
  windows.go_on();
  finish(stored, truncated, invalidated);
  EXPECT_EQ(store->contents(), kRemains);
  EXPECT_EQ(read(0, 100), kRemains);
}

// --- Row 7: truncate down, then up: zeros, and no old tail comes back ----------------------------

const std::string kFull(2 * 4096, 'a');
const std::string kHead(10, 'a');
const std::string kZeros = kHead + std::string(2 * 4096 - 10, '\0');

// Two folios are cached, and a part of the first is dirty. In the window the file is cut to ten
// bytes and grows again.
TEST_P(RaceTable, Row07_DownAndUpWhileUnmapping) {
  open(kFull);
  read(0, 2 * kFolio);
  ASSERT_TRUE(write(100, "TAIL"));
  Future<Status> resized;
  at(FaultPoint::kWhileUnmapping,
     [&] { resized = loop.start(truncate_down_and_up(10, 2 * kFolio)); });
  EXPECT_FALSE(invalidate().error);
  finish(resized);
  EXPECT_EQ(read(0, 3 * kFolio), kZeros);
  expect_after_flush(kZeros);
}

TEST_P(RaceTable, Row07_DownAndUpAfterSnapshot) {
  open(kFull);
  read(0, 2 * kFolio);
  ASSERT_TRUE(write(100, "TAIL"));
  Future<Status> resized;
  at(FaultPoint::kAfterSnapshot,
     [&] { resized = loop.start(truncate_down_and_up(10, 2 * kFolio)); });
  EXPECT_FALSE(invalidate().error);
  finish(resized);
  EXPECT_EQ(read(0, 3 * kFolio), kZeros);
  expect_after_flush(kZeros);
}

TEST_P(RaceTable, Row07_DownAndUpAfterSend) {
  open(kFull);
  read(0, 2 * kFolio);
  ASSERT_TRUE(write(100, "TAIL"));
  Future<Status> resized;
  at(FaultPoint::kAfterSend, [&] { resized = loop.start(truncate_down_and_up(10, 2 * kFolio)); });
  EXPECT_FALSE(invalidate().error);
  finish(resized);
  EXPECT_EQ(read(0, 3 * kFolio), kZeros);
  expect_after_flush(kZeros);
}

// A flush keeps the folios, so their tails do not go with them but must be forgotten.
TEST_P(RaceTable, Row07_DownAndUpAfterAcknowledgementOfAFlush) {
  open(kFull);
  read(0, 2 * kFolio);
  ASSERT_TRUE(write(100, "TAIL"));
  Future<Status> resized;
  at(FaultPoint::kAfterAcknowledge,
     [&] { resized = loop.start(truncate_down_and_up(10, 2 * kFolio)); });
  EXPECT_FALSE(flush().error);
  finish(resized);
  EXPECT_EQ(read(0, 3 * kFolio), kZeros);
  expect_after_flush(kZeros);
}

TEST_P(RaceTable, Row07_DownAndUpBeforeErase) {
  open(kFull);
  read(0, 2 * kFolio);
  Future<Status> resized;
  at(FaultPoint::kBeforeErase, [&] {
    mapped_store(100, "TAIL");
    resized = loop.start(truncate_down_and_up(10, 2 * kFolio));
  });
  EXPECT_FALSE(invalidate().error);
  finish(resized);
  EXPECT_EQ(read(0, 3 * kFolio), kZeros);
  expect_after_flush(kZeros);
}

// SEMANTICS: holes-are-zeros
TEST_P(RaceTable, Row07_ReplyOfAFillFromBeforeBringsNoOldTail) {
  open(kFull);
  ASSERT_TRUE(write(kFolio, "dirty"));
  windows.stop_at(FaultPoint::kAfterFill);
  auto reader = start_read(0, 2 * kFolio);
  ASSERT_TRUE(windows.stopped());
  EXPECT_FALSE(flush().error);
  ASSERT_TRUE(loop.run(truncate_down_and_up(10, 2 * kFolio)));
  windows.go_on();
  finish(reader);
  EXPECT_EQ(read(0, 3 * kFolio), kZeros);
}

// The server answers the fill before it truncates the file; the flush has to wait meanwhile.
TEST_P(RaceTable, Row07_FillSentBeforeTheServerIsTold) {
  open(kFull);
  ASSERT_TRUE(write(0, "aaaa"));
  store->hold_reads = true;
  Future<Result<ReadResult>> reader;
  Future<InvalidateReport> flushed;
  at(FaultPoint::kBeforeTruncate, [&] {
    flushed = start_flush();
    reader = start_read(0, 2 * kFolio);
  });
  auto resized = loop.start(truncate_down_and_up(10, 2 * kFolio));
  finish(resized, flushed);
  ASSERT_GE(store->reads_waiting, 1u);
  store->release();
  finish(reader);
  EXPECT_EQ(read(0, 3 * kFolio), kZeros);
}

}  // namespace
}  // namespace foliofs::cache
