// Row 12: a write error during an invalidation. Nothing is dropped, the invalidator and every open
// descriptor learn of it once, and the invalidation can be tried again.
#include "race_fixture.h"

namespace foliofs::cache {
namespace {

// Two descriptors, and the failures that they are told of.
class Failure {
 public:
  explicit Failure(ErrSeq& errors) : errors_(errors), one_(errors.sample()), two_(one_) {}

  // Both descriptors hear of `error`, once.
  void expect_told(int error) {
    for (ErrCursor* cursor : {&one_, &two_}) {
      Status told = errors_.check(*cursor);
      ASSERT_FALSE(told);
      EXPECT_EQ(told.error(), Errno(error));
      EXPECT_TRUE(errors_.check(*cursor));
    }
  }
  void expect_nothing_told() {
    EXPECT_TRUE(errors_.check(one_));
    EXPECT_TRUE(errors_.check(two_));
  }

 private:
  ErrSeq& errors_;
  ErrCursor one_, two_;
};

// SEMANTICS: error-once
TEST_P(RaceTable, Row12_TheFirstWriteFails) {
  open_with_small_writes(std::string(6 * kFolio, 'a'), 1);
  Failure descriptors(mapping->errors());
  for (int i : {0, 2, 4}) ASSERT_TRUE(write(i * kFolio, "x"));
  at(FaultPoint::kAfterSend, [&] { store->write_error = Errno(EDQUOT); });
  at(FaultPoint::kAfterSend, [&] { store->write_error.reset(); });
  auto report = invalidate();
  EXPECT_EQ(report.error, Errno(EDQUOT));
  EXPECT_EQ(report.folios_kept, 1u);
  EXPECT_EQ(mapping->dirty_bytes(), 1u);
  EXPECT_EQ(read(0, 2), "xa");
  descriptors.expect_told(EDQUOT);
  EXPECT_FALSE(invalidate().error);
  descriptors.expect_nothing_told();
  for (int i : {0, 2, 4}) EXPECT_EQ(on_server(i * kFolio, 2), "xa");
}

TEST_P(RaceTable, Row12_TheSecondWriteFails) {
  open_with_small_writes(std::string(6 * kFolio, 'a'), 1);
  Failure descriptors(mapping->errors());
  for (int i : {0, 2, 4}) ASSERT_TRUE(write(i * kFolio, "x"));
  at(FaultPoint::kAfterSend, [] {});
  at(FaultPoint::kAfterSend, [&] { store->write_error = Errno(EIO); });
  at(FaultPoint::kAfterSend, [&] { store->write_error.reset(); });
  auto report = invalidate();
  EXPECT_EQ(report.error, Errno(EIO));
  EXPECT_EQ(report.folios_kept, 1u);
  EXPECT_EQ(mapping->dirty_bytes(), 1u);
  EXPECT_EQ(on_server(2 * kFolio, 2), "aa");
  EXPECT_EQ(read(2 * kFolio, 2), "xa");
  descriptors.expect_told(EIO);
  EXPECT_FALSE(invalidate().error);
  descriptors.expect_nothing_told();
  for (int i : {0, 2, 4}) EXPECT_EQ(on_server(i * kFolio, 2), "xa");
}

TEST_P(RaceTable, Row12_EveryWriteFailsAndSoDoesTheNextAttempt) {
  open(std::string(6 * kFolio, 'a'));
  Failure descriptors(mapping->errors());
  for (int i : {0, 2, 4}) ASSERT_TRUE(write(i * kFolio, "x"));
  at(FaultPoint::kAfterSend, [&] { store->write_error = Errno(ENOSPC); });
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto report = invalidate();
    EXPECT_EQ(report.error, Errno(ENOSPC));
    EXPECT_EQ(report.folios_kept, 3u);
    EXPECT_EQ(mapping->dirty_bytes(), 3u);
    descriptors.expect_told(ENOSPC);
  }
  store->write_error.reset();
  EXPECT_FALSE(invalidate().error);
  descriptors.expect_nothing_told();
  for (int i : {0, 2, 4}) EXPECT_EQ(on_server(i * kFolio, 2), "xa");
}

// A pass that gives up at once, because the server is away, drops nothing either.
TEST_P(RaceTable, Row12_TheServerIsAway) {
  open(std::string(6 * kFolio, 'a'));
  Failure descriptors(mapping->errors());
  for (int i : {0, 2, 4}) ASSERT_TRUE(write(i * kFolio, "x"));
  at(FaultPoint::kAfterSend, [&] { store->write_error = Errno(ETIMEDOUT); });
  EXPECT_EQ(invalidate().error, Errno(ETIMEDOUT));
  EXPECT_EQ(mapping->dirty_bytes(), 3u);
  descriptors.expect_told(ETIMEDOUT);
  store->write_error.reset();
  EXPECT_FALSE(invalidate().error);
  descriptors.expect_nothing_told();
  for (int i : {0, 2, 4}) EXPECT_EQ(on_server(i * kFolio, 2), "xa");
}

// What was stored after the snapshot whose WRITE failed stays dirty, and so does the snapshot.
TEST_P(RaceTable, Row12_StoreAfterTheErrorsAnswer) {
  open(std::string(kFolio, 'a'));
  Failure descriptors(mapping->errors());
  ASSERT_TRUE(write(0, "1111"));
  at(FaultPoint::kAfterSend, [&] { store->write_error = Errno(EIO); });
  at(FaultPoint::kAfterAcknowledge, [&] { mapped_store(2, "2222"); });
  EXPECT_EQ(invalidate().error, Errno(EIO));
  EXPECT_EQ(mapping->dirty_bytes(), 6u);
  store->write_error.reset();
  descriptors.expect_told(EIO);
  expect_not_lost(0, "112222aa");
  descriptors.expect_nothing_told();
}

// One folio, two WRITEs: the later one succeeds, but that does not make the folio clean.
TEST_P(RaceTable, Row12_OneOfTwoWritesOfAFolioFails) {
  open_with_small_writes(std::string(kFolio, 'a'), 1);
  Failure descriptors(mapping->errors());
  ASSERT_TRUE(write(0, "x"));
  ASSERT_TRUE(write(100, "x"));
  at(FaultPoint::kAfterSend, [&] { store->write_error = Errno(EIO); });
  at(FaultPoint::kAfterSend, [&] { store->write_error.reset(); });
  auto report = invalidate();
  EXPECT_EQ(report.error, Errno(EIO));
  EXPECT_EQ(report.folios_kept, 1u);
  EXPECT_EQ(on_server(0, 1), "a");
  descriptors.expect_told(EIO);
  expect_not_lost(0, "xa");
  expect_not_lost(100, "xa");
}

// A descriptor that is opened between the failure and its first report is told of it as well.
TEST_P(RaceTable, Row12_ErrorThatNobodyHasSeenIsKeptForTheNextDescriptor) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(0, "x"));
  std::optional<Failure> opened_in_the_window;
  at(FaultPoint::kAfterSend, [&] { store->write_error = Errno(EIO); });
  at(FaultPoint::kBeforeErase, [&] { opened_in_the_window.emplace(mapping->errors()); });
  EXPECT_EQ(invalidate().error, Errno(EIO));
  Failure opened_after(mapping->errors());
  store->write_error.reset();
  EXPECT_FALSE(invalidate().error) << "the retry consumes no report either";
  opened_in_the_window->expect_told(EIO);
  opened_after.expect_told(EIO);
  Failure opened_late(mapping->errors());
  opened_late.expect_nothing_told();
}

}  // namespace
}  // namespace foliofs::cache
