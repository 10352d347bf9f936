// Changes that the server makes to a file (allocation, copies, appends): what they drop, what they
// wait for, and what waits for them.
#include "tests/unit/cache/fixture.h"

namespace foliofs::cache {
namespace {

class ServerChangeTest : public CacheTest {
 protected:
  // The server fills `range` with `byte`.
  Task<Result<ServerChange>> fill(ByteRange range, char byte) {
    if (store->file.size() < range.end) store->file.resize(range.end);
    for (auto at = range.begin; at < range.end; ++at) store->file[at] = std::byte(byte);
    co_return ServerChange{range, range.end};
  }
  Status change(ByteRange range, char byte) {
    return loop.run(mapping->change_on_server(range, [=, this] { return fill(range, byte); }));
  }
  // The server appends `text` at its own end of the file, which the client may not know.
  auto start_append(std::string text) {
    return loop.start(
        mapping->change_on_server(ByteRange::all(), [=, this]() -> Task<Result<ServerChange>> {
          const std::uint64_t at = store->file.size();
          auto span = std::as_bytes(std::span(text));
          store->file.insert(store->file.end(), span.begin(), span.end());
          co_return ServerChange{{at, at + text.size()}, at + text.size()};
        }));
  }
};

TEST_F(ServerChangeTest, DropsTheRangeAndNothingElse) {
  open(std::string(3 * kFolio, 'a'));
  read(0, 3 * kFolio);
  ASSERT_TRUE(change({kFolio + 10, kFolio + 20}, 'z'));
  const auto reads = store->reads.size();
  EXPECT_EQ(read(0, kFolio), std::string(kFolio, 'a'));
  EXPECT_EQ(store->reads.size(), reads) << "what lies outside is cached still";
  EXPECT_EQ(read(kFolio + 8, 14), "aazzzzzzzzzzaa");
}

TEST_F(ServerChangeTest, WhatIsDirtyOfTheRangeIsWrittenFirst) {
  open(std::string(2 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "xx"));
  ASSERT_TRUE(write(kFolio, "yy"));
  ASSERT_TRUE(change({0, 1}, 'z'));
  EXPECT_EQ(store->writes.size(), 1u) << "the other folio stays dirty";
  EXPECT_EQ(mapping->dirty_bytes(), 2u);
  EXPECT_EQ(read(0, 3), "zxa");
  EXPECT_EQ(read(kFolio, 3), "yya");
}

TEST_F(ServerChangeTest, WaitsForWritesInFlightAndHoldsLaterOnes) {
  open(std::string(2 * kFolio, 'a'));
  ASSERT_TRUE(write(kFolio, "yy"));
  store->hold_writes = true;
  auto flushed = loop.start(mapping->flush({}));
  bool told = false;
  auto changed = loop.start(mapping->change_on_server({0, 1}, [&]() -> Task<Result<ServerChange>> {
    told = true;
    co_return ServerChange{{0, 1}, 0};
  }));
  EXPECT_FALSE(told);
  EXPECT_FALSE(mapping->try_write(5, bytes("no"), WriteSource::kSystemCall));
  EXPECT_TRUE(mapping->try_write(kFolio, bytes("zz"), WriteSource::kPageWriteback));
  store->release();
  loop.finish([&] { return flushed->has_value() && changed->has_value(); });
  EXPECT_TRUE(told);
  EXPECT_TRUE(mapping->try_write(5, bytes("ok"), WriteSource::kSystemCall));
}

TEST_F(ServerChangeTest, AFillFromBeforeBringsNoOldBytes) {
  open(std::string(kFolio, 'a'));
  store->hold_reads = true;
  auto reading = loop.start(mapping->read({0, kFolio}, nullptr));
  EXPECT_EQ(store->reads_waiting, 1u);
  ASSERT_TRUE(change({100, 200}, 'z'));
  store->release();
  loop.finish([&] { return reading->has_value(); });
  EXPECT_EQ(read(99, 3), "azz");
  EXPECT_EQ(read(198, 4), "zzaa");
}

// The kernel writes back a page that was faulted in before the change, with old bytes in it.
TEST_F(ServerChangeTest, PagesWrittenBackMeanwhileDoNotUndoIt) {
  open(std::string(kFolio, 'a'));
  auto changed = loop.run(mapping->change_on_server({0, 100}, [&]() -> Task<Result<ServerChange>> {
    EXPECT_TRUE(
        mapping->try_write(0, bytes(std::string(kFolio, 'p')), WriteSource::kPageWriteback));
    return fill({0, 100}, 'z');
  }));
  ASSERT_TRUE(changed);
  EXPECT_FALSE(flush(InvalidateMode::kHybrid).error);
  EXPECT_EQ(store->contents(), std::string(100, 'z') + std::string(kFolio - 100, 'p'));
}

TEST_F(ServerChangeTest, AfterAFailureCleanBytesAreAskedForAgain) {
  open(std::string(kFolio, 'a'));
  read(0, kFolio);
  auto status = loop.run(mapping->change_on_server({0, 10}, [&]() -> Task<Result<ServerChange>> {
    store->file[3] = std::byte('z');  // the server has executed a part
    co_return Errno(ENOSPC);
  }));
  EXPECT_EQ(status, Status(Errno(ENOSPC)));
  EXPECT_EQ(read(0, 5), "aaaza");
  EXPECT_EQ(mapping->size(), kFolio);
}

TEST_F(ServerChangeTest, NothingHappensWhenDirtyBytesCannotBeWritten) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(0, "x"));
  store->write_error = Errno(ENOSPC);
  EXPECT_EQ(change({0, 10}, 'z'), Status(Errno(ENOSPC)));
  EXPECT_EQ(store->contents(), std::string(kFolio, 'a'));
  EXPECT_EQ(read(0, 2), "xa");
  EXPECT_TRUE(mapping->try_write(5, bytes("y"), WriteSource::kPageWriteback)) << "nobody is held";
}

TEST_F(ServerChangeTest, TheSizeGrowsOnly) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(change({2 * kFolio, 2 * kFolio + 5}, 'z'));
  EXPECT_EQ(mapping->size(), 2 * kFolio + 5);
  EXPECT_EQ(read(kFolio, 3), std::string(3, '\0'));
  ASSERT_TRUE(change({0, 1}, 'z'));
  EXPECT_EQ(mapping->size(), 2 * kFolio + 5);
}

// An append goes to the end of the server's file, which other clients may have made longer.
TEST_F(ServerChangeTest, AppendsGoBehindWhatIsDirtyAndWhatOthersHaveAppended) {
  open("start");
  ASSERT_TRUE(write(5, " dirty"));
  auto first = start_append(" one");
  loop.finish([&] { return first->has_value(); });
  const std::string others = " others";
  auto span = std::as_bytes(std::span(others));
  store->file.insert(store->file.end(), span.begin(), span.end());
  auto second = start_append(" two");
  loop.finish([&] { return second->has_value(); });
  EXPECT_EQ(store->contents(), "start dirty one others two");
  EXPECT_EQ(read(0, 100), "start dirty one others two");
}

// The kernel keeps the pages that it reads, so a read meanwhile must not return zeros there.
TEST_F(ServerChangeTest, ReadsBeyondTheEndWaitForAnAppend) {
  open("start");
  store->hold_writes = true;
  ASSERT_TRUE(write(0, "S"));
  auto appended = start_append(" more");
  EXPECT_FALSE(appended->has_value());
  auto page = loop.start(mapping->read({0, kFolio}, nullptr));
  auto inside = loop.start(mapping->read({0, 5}, nullptr));
  loop.settle();
  EXPECT_FALSE(page->has_value());
  EXPECT_TRUE(inside->has_value());
  store->release();
  loop.finish([&] { return appended->has_value() && page->has_value(); });
  EXPECT_EQ(text_of((*page)->value()), "Start more");
}

}  // namespace
}  // namespace foliofs::cache
