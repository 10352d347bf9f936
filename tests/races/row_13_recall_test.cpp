// Row 13: a recall under a writer that never stops. It ends, and its acknowledgement comes after
// the flush: everything that was dirty when it was requested is on the server when it returns.
//
// The recall in these tests is an invalidation for InvalidateReason::kUser: it has to give up the
// whole file although programs go on storing to it.
#include "race_fixture.h"

namespace foliofs::cache {
namespace {

constexpr FaultPoint kStages[] = {FaultPoint::kWhileUnmapping,   FaultPoint::kAfterUnmap,
                                  FaultPoint::kAfterSnapshot,    FaultPoint::kAfterSend,
                                  FaultPoint::kAfterAcknowledge, FaultPoint::kBeforeErase};
// A recall that has not ended after this many stores fails the test.
constexpr int kTooMany = 4000;

// write(2) again and again, into the folio that is dirty already.
TEST_P(RaceTable, Row13_WriterInSystemCalls) {
  open(std::string(4 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "owed"));
  ASSERT_TRUE(write(2 * kFolio, "owed"));
  std::vector<Future<Status>> stores;
  for (FaultPoint stage : kStages) {
    at_each(stage, [&] {
      const bool idle = stores.empty() || stores.back()->has_value();
      if (idle && stores.size() < kTooMany) stores.push_back(start_store(100, "again"));
    });
  }
  auto report = invalidate();
  windows.disarm();
  EXPECT_FALSE(report.error) << "a writer in system calls can be held up";
  EXPECT_GE(stores.size(), 1u);
  EXPECT_LT(stores.size(), kTooMany);
  EXPECT_EQ(on_server(0, 4), "owed");
  EXPECT_EQ(on_server(2 * kFolio, 4), "owed");
  finish(stores.back());
  expect_not_lost(100, "againa");
}

// The same, but each store makes the file longer.
TEST_P(RaceTable, Row13_WriterThatAppends) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(0, "owed"));
  std::vector<Future<Status>> stores;
  for (FaultPoint stage : kStages) {
    at_each(stage, [&] {
      const bool idle = stores.empty() || stores.back()->has_value();
      if (idle && stores.size() < kTooMany) {
        stores.push_back(start_store((stores.size() + 1) * kFolio, "more"));
      }
    });
  }
  auto report = invalidate();
  windows.disarm();
  EXPECT_FALSE(report.error);
  EXPECT_GE(stores.size(), 1u);
  EXPECT_LT(stores.size(), kTooMany);
  EXPECT_EQ(on_server(0, 4), "owed");
  finish(stores.back());
  EXPECT_FALSE(flush().error);
  for (std::size_t i = 1; i <= stores.size(); ++i) EXPECT_EQ(on_server(i * kFolio, 4), "more");
}

// One writer for each folio; each goes on as soon as its last store is done.
TEST_P(RaceTable, Row13_AWriterAtEveryFolio) {
  open(std::string(8 * kFolio, 'a'));
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(write(i * kFolio, "owed"));
  std::map<int, Future<Status>> writers;
  int stores = 0;
  for (FaultPoint stage : kStages) {
    at_each(stage, [&] {
      for (int i = 0; i < 8 && stores < kTooMany; ++i) {
        auto& writer = writers[i];
        if (writer && !writer->has_value()) continue;
        writer = start_store(i * kFolio + 100, "again");
        ++stores;
      }
    });
  }
  auto report = invalidate();
  windows.disarm();
  EXPECT_FALSE(report.error);
  EXPECT_GE(stores, 8);
  EXPECT_LT(stores, kTooMany);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(on_server(i * kFolio, 4), "owed");
  for (auto& [folio, writer] : writers) finish(writer);
  for (int i = 0; i < 8; ++i) expect_not_lost(i * kFolio + 100, "againa");
}

// Nothing holds up a mapping's pages. The recall ends all the same, and reports what it had to
// keep.
TEST_P(RaceTable, Row13_WriterThroughAMapping) {
  open(std::string(4 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "owed"));
  ASSERT_TRUE(write(2 * kFolio, "owed"));
  int stores = 0;
  for (FaultPoint stage : kStages) {
    at_each(stage, [&] {
      if (stores++ < kTooMany) mapped_store(100, "again");
    });
  }
  auto report = invalidate();
  windows.disarm();
  EXPECT_EQ(report.error, Errno(EBUSY));
  EXPECT_EQ(report.folios_kept, 1u);
  EXPECT_LT(stores, kTooMany);
  EXPECT_EQ(on_server(0, 4), "owed");
  EXPECT_EQ(on_server(2 * kFolio, 4), "owed");
  expect_not_lost(100, "againa");
}

// The recall does not return before its last WRITE is answered.
TEST_P(RaceTable, Row13_TheAcknowledgementComesAfterTheFlush) {
  open_with_small_writes(std::string(4 * kFolio, 'a'), 4);
  for (int i : {0, 2}) ASSERT_TRUE(write(i * kFolio, "owed"));
  at(FaultPoint::kAfterSend, [] {});
  windows.stop_at(FaultPoint::kAfterSend);
  auto recalled = start_invalidate();
  ASSERT_TRUE(windows.stopped()) << "the second WRITE is on its way";
  auto stored = start_store(kFolio, "again");
  EXPECT_FALSE(recalled->has_value());
  windows.go_on();
  finish(recalled, stored);
  EXPECT_FALSE((*recalled)->error);
  for (int i : {0, 2}) EXPECT_EQ(on_server(i * kFolio, 4), "owed");
  expect_not_lost(kFolio, "againa");
}

}  // namespace
}  // namespace foliofs::cache
