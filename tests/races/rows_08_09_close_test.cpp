// Rows 8 and 9: close(2) against an invalidation, and what is stored after it.
#include "close_race_fixture.h"

namespace foliofs::test {

// --- Row 8: FLUSH returned 0, so every byte acknowledged before it is on the server --------------

// The invalidation is stopped in one of its stages; a mapped page comes in, and then FLUSH. FLUSH
// may end before or after the invalidation; once it has, both stores are on the server.

TEST_P(RaceTableOfMount, Row08_FlushWhileUnmapping) {
  auto opened = open_dirty();
  auto invalidated = start_invalidate_up_to(FaultPoint::kWhileUnmapping);
  mapped_store(opened, 8, "second");
  auto flushed = start_flush(opened);
  until([&] { return flushed->has_value(); });  // it does not wait for the kernel's pages
  expect_good(flushed, "first...second..");
  windows_.go_on();
  finish(invalidated);
  release(opened);
}

TEST_P(RaceTableOfMount, Row08_FlushAfterUnmap) {
  auto opened = open_dirty();
  auto invalidated = start_invalidate_up_to(FaultPoint::kAfterUnmap);
  mapped_store(opened, 8, "second");
  auto flushed = start_flush(opened);
  windows_.go_on();
  finish(invalidated, flushed);
  expect_good(flushed, "first...second..");
  release(opened);
}

TEST_P(RaceTableOfMount, Row08_FlushAfterSnapshot) {
  auto opened = open_dirty();
  auto invalidated = start_invalidate_up_to(FaultPoint::kAfterSnapshot);
  mapped_store(opened, 8, "second");
  auto flushed = start_flush(opened);
  loop_.settle();
  EXPECT_FALSE(flushed->has_value()) << "the first bytes are on the way and not acknowledged";
  windows_.go_on();
  finish(invalidated, flushed);
  expect_good(flushed, "first...second..");
  release(opened);
}

// SEMANTICS: close-writes
TEST_P(RaceTableOfMount, Row08_FlushAfterSend) {
  auto opened = open_dirty();
  auto invalidated = start_invalidate_up_to(FaultPoint::kAfterSend);
  mapped_store(opened, 8, "second");
  auto flushed = start_flush(opened);
  loop_.settle();
  EXPECT_FALSE(flushed->has_value()) << "the first bytes are on the way and not acknowledged";
  windows_.go_on();
  finish(invalidated, flushed);
  expect_good(flushed, "first...second..");
  release(opened);
}

TEST_P(RaceTableOfMount, Row08_FlushAfterAcknowledgement) {
  auto opened = open_dirty();
  auto invalidated = start_invalidate_up_to(FaultPoint::kAfterAcknowledge);
  mapped_store(opened, 3, "second");
  auto flushed = start_flush(opened);
  loop_.settle();
  EXPECT_FALSE(flushed->has_value());
  windows_.go_on();
  finish(invalidated, flushed);
  expect_good(flushed, "firsecond.......");
  release(opened);
}

TEST_P(RaceTableOfMount, Row08_FlushBeforeErase) {
  auto opened = open_dirty();
  auto invalidated = start_invalidate_up_to(FaultPoint::kBeforeErase);
  mapped_store(opened, 8, "second");
  auto flushed = start_flush(opened);
  windows_.go_on();
  finish(invalidated, flushed);
  expect_good(flushed, "first...second..");
  release(opened);
}

// A store before the first answer is handled makes bulk and hybrid begin another round.
TEST_P(RaceTableOfMount, Row08_FlushBetweenRounds) {
  auto opened = open_dirty();
  at(FaultPoint::kAfterAcknowledge, [&] { mapped_store(opened, 6, "1"); });
  auto invalidated = start_invalidate_up_to(FaultPoint::kBetweenRounds);
  mapped_store(opened, 8, "second");
  auto flushed = start_flush(opened);
  windows_.go_on();
  finish(invalidated, flushed);
  expect_good(flushed, "first.1.second..");
  release(opened);
}

// The WRITE that fails is the invalidation's. FLUSH reports that once; the next FLUSH succeeds.
TEST_P(RaceTableOfMount, Row08_FlushIsNotZeroWhenTheInvalidationsWriteFails) {
  auto opened = open_dirty();
  Future<Ended> flushed;
  at(FaultPoint::kAfterSend, [&] {
    server_.fails[MessageType::kWrite] = ENOSPC;
    flushed = start_flush(opened);
  });
  auto invalidated = start_invalidate();
  until([&] { return flushed != nullptr; });
  finish(invalidated, flushed);
  EXPECT_EQ((*invalidated)->value().error, Errno(ENOSPC));
  ASSERT_FALSE((*flushed)->status);
  EXPECT_EQ((*flushed)->status.error(), Errno(ENOSPC));
  server_.fails.clear();
  auto again = start_flush(opened);
  finish(again);
  expect_good(again, "first...........");
  release(opened);
}

// The failure concerned only the invalidation and was over before close(2). It is reported all the
// same.
TEST_P(RaceTableOfMount, Row08_FlushAfterAnInvalidationThatFailed) {
  auto opened = open_dirty();
  at(FaultPoint::kAfterSend, [&] { server_.fails[MessageType::kWrite] = EIO; });
  at(FaultPoint::kAfterAcknowledge, [&] { server_.fails.clear(); });
  auto invalidated = start_invalidate();
  finish(invalidated);
  EXPECT_EQ((*invalidated)->value().error, Errno(EIO));
  auto flushed = start_flush(opened);
  finish(flushed);
  EXPECT_FALSE((*flushed)->status) << "no byte was lost, but a WRITE failed since the open";
  EXPECT_EQ((*flushed)->on_server, "first...........");
  EXPECT_TRUE(flush(opened));
  release(opened);
}

// --- Row 9: stores after FLUSH are on the server before RELEASE ends -----------------------------

// A duplicated descriptor: the first close(2) has flushed the file, and a write(2) comes after it.
// SEMANTICS: release-writes
TEST_P(RaceTableOfMount, Row09_StoreThroughADuplicateAfterFlush) {
  auto opened = open_dirty();
  ASSERT_TRUE(flush(opened));
  ASSERT_TRUE(write(opened, 8, "second"));
  auto released = start_release(opened);
  finish(released);
  EXPECT_EQ((*released)->on_server, "first...second..");
}

// SEMANTICS: release-writes
TEST_P(RaceTableOfMount, Row09_MappedStoreAfterFlush) {
  auto opened = open_dirty();
  ASSERT_TRUE(flush(opened));
  mapped_store(opened, 8, "second");
  auto released = start_release(opened);
  finish(released);
  EXPECT_EQ((*released)->on_server, "first...second..");
}

TEST_P(RaceTableOfMount, Row09_StoreAfterFlushesSnapshot) {
  auto opened = open_dirty();
  at(FaultPoint::kAfterSnapshot, [&] { mapped_store(opened, 3, "second"); });
  ASSERT_TRUE(flush(opened));
  auto released = start_release(opened);
  finish(released);
  EXPECT_EQ((*released)->on_server, "firsecond.......");
}

TEST_P(RaceTableOfMount, Row09_StoreAfterFlushesAcknowledgement) {
  auto opened = open_dirty();
  at(FaultPoint::kAfterAcknowledge, [&] { mapped_store(opened, 3, "second"); });
  ASSERT_TRUE(flush(opened));
  auto released = start_release(opened);
  finish(released);
  EXPECT_EQ((*released)->on_server, "firsecond.......");
}

// A RELEASE's WRITE is in flight when a page of another open of the file comes in. The RELEASE of
// that open writes the page.
TEST_P(RaceTableOfMount, Row09_StoreWhileAnotherReleaseWrites) {
  auto opened = open_file();
  auto other = open(lookup("f"));
  ASSERT_TRUE(write(opened, 0, "first"));
  windows_.stop_at(FaultPoint::kAfterSend);
  auto released = start_release(opened);
  until([&] { return windows_.stopped(); });
  EXPECT_FALSE(released->has_value());
  mapped_store(other, 3, "second");
  auto other_released = start_release(other);
  loop_.settle();
  EXPECT_FALSE(other_released->has_value());
  windows_.go_on();
  finish(released, other_released);
  EXPECT_EQ((*released)->on_server.substr(0, 3), "fir");
  EXPECT_EQ((*other_released)->on_server, "firsecond.......");
}

TEST_P(RaceTableOfMount, Row09_ReleaseWhileAnInvalidationHasSent) {
  auto opened = open_dirty();
  ASSERT_TRUE(flush(opened));
  ASSERT_TRUE(write(opened, 8, "second"));
  auto invalidated = start_invalidate_up_to(FaultPoint::kAfterSend);
  mapped_store(opened, 5, "++");
  auto released = start_release(opened);
  loop_.settle();
  EXPECT_FALSE(released->has_value());
  windows_.go_on();
  finish(invalidated, released);
  EXPECT_EQ((*released)->on_server, "first++.second..");
}

TEST_P(RaceTableOfMount, Row09_ReleaseBeforeAnInvalidationErases) {
  auto opened = open_dirty();
  ASSERT_TRUE(flush(opened));
  ASSERT_TRUE(write(opened, 8, "second"));
  auto invalidated = start_invalidate_up_to(FaultPoint::kBeforeErase);
  mapped_store(opened, 5, "++");
  auto released = start_release(opened);
  windows_.go_on();
  finish(invalidated, released);
  EXPECT_EQ((*released)->on_server, "first++.second..");
}

// FLUSH has failed and reported it. RELEASE tries again what FLUSH could not write, and what was
// stored since.
TEST_P(RaceTableOfMount, Row09_StoreAfterAFailedFlush) {
  auto opened = open_dirty();
  at(FaultPoint::kAfterSend, [&] { server_.fails[MessageType::kWrite] = EIO; });
  Status failed = flush(opened);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error(), Errno(EIO));
  mapped_store(opened, 3, "second");
  server_.fails.clear();
  auto released = start_release(opened);
  finish(released);
  EXPECT_EQ((*released)->on_server, "firsecond.......");
}

}  // namespace foliofs::test
