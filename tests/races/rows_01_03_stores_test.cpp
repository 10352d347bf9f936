// Rows 1 to 3: stores that come while their folio is being flushed, sent, unmapped or dropped.
#include "race_fixture.h"

namespace foliofs::cache {
namespace {

// --- Row 1: a write between the flush's snapshot and the discard is not lost ---------------------

// SEMANTICS: nothing-dropped
TEST_P(RaceTable, Row01_StoreAfterSnapshot) {
  open(std::string(2 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "old"));
  at(FaultPoint::kAfterSnapshot, [&] { mapped_store(2, "NEW"); });
  expect_honest(invalidate());
  expect_not_lost(0, "olNEWa");
}

TEST_P(RaceTable, Row01_StoreAfterSend) {
  open(std::string(2 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "old"));
  at(FaultPoint::kAfterSend, [&] { mapped_store(2, "NEW"); });
  expect_honest(invalidate());
  expect_not_lost(0, "olNEWa");
}

// SEMANTICS: nothing-dropped
TEST_P(RaceTable, Row01_StoreAfterAcknowledgement) {
  open(std::string(2 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "old"));
  at(FaultPoint::kAfterAcknowledge, [&] { mapped_store(2, "NEW"); });
  expect_honest(invalidate());
  expect_not_lost(0, "olNEWa");
}

// SEMANTICS: nothing-dropped
TEST_P(RaceTable, Row01_StoreBeforeErase) {
  open(std::string(2 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "old"));
  at(FaultPoint::kBeforeErase, [&] { mapped_store(2, "NEW"); });
  expect_honest(invalidate());
  expect_not_lost(0, "olNEWa");
}

// The first store makes bulk and hybrid begin another round.
TEST_P(RaceTable, Row01_StoreBetweenRounds) {
  open(std::string(2 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "old"));
  at(FaultPoint::kAfterAcknowledge, [&] { mapped_store(2, "N"); });
  at(FaultPoint::kBetweenRounds, [&] { mapped_store(3, "EW"); });
  expect_honest(invalidate());
  expect_not_lost(0, "olNEWa");
}

TEST_P(RaceTable, Row01_StoreIntoACleanFolioBeforeErase) {
  open(std::string(2 * kFolio, 'a'));
  read(0, 2 * kFolio);
  at(FaultPoint::kBeforeErase, [&] { mapped_store(2, "NEW"); });
  expect_honest(invalidate());
  expect_not_lost(0, "aaNEWa");
}

TEST_P(RaceTable, Row01_StoreBeforeEraseWithoutFlush) {
  open(std::string(2 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "old"));
  at(FaultPoint::kBeforeErase, [&] { mapped_store(2, "NEW"); });
  auto report = loop.run(mapping->invalidate({GetParam(), InvalidateReason::kUser, false}));
  EXPECT_EQ(report.error, Errno(EBUSY));
  EXPECT_TRUE(store->writes.empty());
  expect_not_lost(0, "olNEWa");
}

// A revalidation ends and keeps the bytes, however long a program goes on storing.
TEST_P(RaceTable, Row01_StoreAfterEveryAcknowledgementOfARevalidation) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(0, "old"));
  int stores = 0;
  at_each(FaultPoint::kAfterAcknowledge, [&] { mapped_store(++stores, "N"); });
  auto report = invalidate(InvalidateReason::kRevalidate);
  windows.disarm();
  EXPECT_EQ(report.error, Errno(EBUSY));
  EXPECT_EQ(report.folios_kept, 1u);
  expect_not_lost(0, "o" + std::string(static_cast<std::size_t>(stores), 'N'));
}

TEST_P(RaceTable, Row01_SystemCallsThatStoreAtEveryPoint) {
  open(std::string(4 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "old"));
  ASSERT_TRUE(write(2 * kFolio, "old"));
  std::vector<Future<Status>> stores;
  for (FaultPoint point :
       {FaultPoint::kWhileUnmapping, FaultPoint::kAfterUnmap, FaultPoint::kAfterSnapshot,
        FaultPoint::kAfterSend, FaultPoint::kAfterAcknowledge, FaultPoint::kBeforeErase}) {
    at(point, [&] {
      const std::uint64_t cell = stores.size();
      stores.push_back(start_store(cell, "N"));               // the folio that is being flushed
      stores.push_back(start_store(2 * kFolio + cell, "N"));  // dirty
      stores.push_back(start_store(3 * kFolio + cell, "N"));  // not cached
    });
  }
  EXPECT_FALSE(invalidate().error) << "system calls are held up where they must be";
  loop.finish([&] {
    return std::all_of(stores.begin(), stores.end(), [](auto& one) { return one->has_value(); });
  });
  ASSERT_EQ(stores.size(), 18u);
  expect_not_lost(0, "NldNaaNaaNaaNaaNa");
  expect_not_lost(2 * kFolio, "NldNaaNaaNaaNaaNa");
  expect_not_lost(3 * kFolio, "NaaNaaNaaNaaNaaNa");
}

// --- Row 2: a write while its folio's WRITE is in flight ----------------------------------------

// SEMANTICS: nothing-dropped
TEST_P(RaceTable, Row02_AcknowledgementDoesNotCleanNewerBytes) {
  open();
  ASSERT_TRUE(write(0, "1111"));
  at(FaultPoint::kAfterAcknowledge, [&] {
    EXPECT_EQ(on_server(0, 4), "1111");
    mapped_store(2, "22");
  });
  EXPECT_FALSE(flush().error);
  expect_not_lost(0, "1122");
}

TEST_P(RaceTable, Row02_WritesOfOneByteArriveInTheirOrder) {
  open();
  ASSERT_TRUE(write(0, "1111"));
  windows.stop_at(FaultPoint::kAfterSend);
  auto first = start_flush();
  ASSERT_TRUE(windows.stopped());
  mapped_store(0, "2222");
  auto second = start_flush();
  auto third = start_invalidate();
  EXPECT_EQ(store->writes.size(), 1u) << "the newer bytes wait for the older ones' answer";
  windows.go_on();
  finish(first, second, third);
  EXPECT_EQ(store->writes.size(), 2u);
  EXPECT_EQ(on_server(0, 4), "2222");
  EXPECT_EQ(mapping->dirty_bytes(), 0u);
}

TEST_P(RaceTable, Row02_WhatIsBeingSentNeverChanges) {
  open();
  ASSERT_TRUE(write(0, "sent"));
  at(FaultPoint::kAfterSend, [&] { mapped_store(0, "torn"); });
  std::string arrived;
  at(FaultPoint::kAfterAcknowledge, [&] { arrived = on_server(0, 4); });
  EXPECT_FALSE(flush().error);
  EXPECT_EQ(arrived, "sent");
  expect_not_lost(0, "torn");
}

// Two ranges of one folio are two WRITEs. Until both are answered nothing of the folio is sent
// again, and neither answer cleans what was stored in between.
TEST_P(RaceTable, Row02_StoreBetweenTheAnswersOfOneFolio) {
  open_with_small_writes(std::string(kFolio, '.'), 4);
  ASSERT_TRUE(write(0, "1111"));
  ASSERT_TRUE(write(100, "1111"));
  at(FaultPoint::kAfterAcknowledge, [&] { mapped_store(2, "22"); });
  at(FaultPoint::kAfterAcknowledge, [&] { mapped_store(100, "22"); });
  EXPECT_FALSE(flush().error);
  expect_not_lost(0, "1122.");
  expect_not_lost(100, "2211.");
}

TEST_P(RaceTable, Row02_AFailedWriteGivesBackOnlyWhatIsNotNewer) {
  open();
  ASSERT_TRUE(write(0, "1111"));
  at(FaultPoint::kAfterSend, [&] {
    mapped_store(2, "22");
    store->write_error = Errno(EIO);
  });
  EXPECT_EQ(flush().error, Errno(EIO));
  EXPECT_EQ(mapping->dirty_bytes(), 4u);
  store->write_error.reset();
  expect_not_lost(0, "1122");
}

// --- Row 3: an mmap store, or a page faulted in again, before the discard ------------------------

// SEMANTICS: release-writes
TEST_P(RaceTable, Row03_DirtyMappedPageComesInWhileUnmapping) {
  open(std::string(2 * kFolio, 'a'));
  read(0, 2 * kFolio);
  at(FaultPoint::kWhileUnmapping, [&] { mapped_store(kFolio, "mapped"); });
  EXPECT_FALSE(invalidate().error);
  EXPECT_EQ(on_server(kFolio, 7), "mappeda");
  EXPECT_EQ(mapping->dirty_bytes(), 0u);
}

// SEMANTICS: no-old-bytes
TEST_P(RaceTable, Row03_FaultWhileUnmappingSeesFreshBytes) {
  open(std::string(kFolio, 'a'));
  read(0, kFolio);
  store->set_contents(std::string(kFolio, 'b'));
  std::string seen;
  at(FaultPoint::kWhileUnmapping, [&]() -> Task<void> { seen = co_await fault(0, 4); });
  EXPECT_FALSE(invalidate().error);
  EXPECT_EQ(seen, "bbbb") << "an old page put in again would outlive the invalidation";
}

TEST_P(RaceTable, Row03_FaultWhileUnmappingSeesDirtyBytesAmongFreshOnes) {
  open(std::string(kFolio, 'a'));
  read(0, kFolio);
  ASSERT_TRUE(write(2, "xx"));
  store->set_contents(std::string(kFolio, 'b'));
  std::string seen;
  at(FaultPoint::kWhileUnmapping, [&]() -> Task<void> { seen = co_await fault(0, 8); });
  EXPECT_FALSE(invalidate().error);
  EXPECT_EQ(seen, "bbxxbbbb");
  EXPECT_EQ(read(0, 8), "bbxxbbbb");
  EXPECT_EQ(on_server(0, 8), "bbxxbbbb");
}

TEST_P(RaceTable, Row03_PageIsFaultedInAgainAfterUnmapAndStoredTo) {
  open(std::string(kFolio, 'a'));
  read(0, kFolio);
  ASSERT_TRUE(write(2, "xx"));
  store->set_contents(std::string(kFolio, 'b'));
  std::string seen;
  at(FaultPoint::kAfterUnmap, [&]() -> Task<void> {
    seen = co_await fault(0, 8);
    mapped_store(4, "yy");
  });
  expect_honest(invalidate());
  EXPECT_EQ(seen, "bbxxbbbb");
  expect_not_lost(0, "bbxxyybb");
}

// Behind bulk's gate the fault waits; in the other modes it is answered at once.
TEST_P(RaceTable, Row03_FaultBeforeErase) {
  open(std::string(kFolio, 'a'));
  read(0, kFolio);
  ASSERT_TRUE(write(2, "xx"));
  store->set_contents(std::string(kFolio, 'b'));
  Future<Result<ReadResult>> fault;
  at(FaultPoint::kBeforeErase, [&] { fault = start_read(0, 8); });
  EXPECT_FALSE(invalidate().error);
  finish(fault);
  EXPECT_EQ(text_of((*fault)->value()), "bbxxbbbb");
  EXPECT_EQ(read(0, 8), "bbxxbbbb");
}

TEST_P(RaceTable, Row03_PageIsFaultedInAgainAndItsStoreComesBeforeErase) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(2, "xx"));
  store->set_contents(std::string(kFolio, 'b'));
  at(FaultPoint::kWhileUnmapping, [&]() -> Task<void> { (void)co_await fault(0, kFolio); });
  at(FaultPoint::kBeforeErase, [&] { mapped_store(4, "yy"); });
  expect_honest(invalidate());
  expect_not_lost(0, "bbxxyybb");
}

}  // namespace
}  // namespace foliofs::cache
