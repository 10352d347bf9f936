// Reading, storing, writeback, truncation and the budget, without any invalidation.
#include <random>

#include "tests/unit/cache/fixture.h"

namespace foliofs::cache {
namespace {

TEST_F(CacheTest, ReadsWhatTheServerHas) {
  open("hello world");
  EXPECT_EQ(read(0, 100), "hello world");
  EXPECT_EQ(read(6, 3), "wor");
  EXPECT_EQ(read(11, 5), "");
  EXPECT_EQ(store->reads.size(), 1u) << "the second read is a hit";
}

TEST_F(CacheTest, StoredBytesAreReadBackBeforeTheyAreWritten) {
  open("hello world");
  ASSERT_TRUE(write(6, "there"));
  EXPECT_EQ(store->contents(), "hello world");
  EXPECT_EQ(read(0, 100), "hello there");
  EXPECT_EQ(mapping->dirty_bytes(), 5u);
}

// SEMANTICS: own-bytes-win
TEST_F(CacheTest, OnlyDirtyBytesAreSent) {
  open(std::string(3 * kFolio, 'a'));
  ASSERT_TRUE(write(10, "xy"));
  ASSERT_TRUE(write(kFolio - 1, "zz"));
  store->set_contents(std::string(3 * kFolio, 'b'));  // another client's bytes
  EXPECT_FALSE(flush(InvalidateMode::kHybrid).error);
  std::string expected(3 * kFolio, 'b');
  expected.replace(10, 2, "xy").replace(kFolio - 1, 2, "zz");
  EXPECT_EQ(store->contents(), expected);
  ASSERT_EQ(store->writes.size(), 1u);
  EXPECT_EQ(store->writes[0].ranges, (std::vector<ByteRange>{{10, 12}, {kFolio - 1, kFolio + 1}}));
}

TEST_F(CacheTest, NeighboursAreWrittenInPiecesOfMaxIo) {
  open();
  for (int i = 0; i < 512; ++i) ASSERT_TRUE(write(i * kFolio, std::string(kFolio, 'q')));
  EXPECT_FALSE(flush(InvalidateMode::kBulk).error);
  ASSERT_EQ(store->writes.size(), 2u);
  EXPECT_EQ(store->writes[0].ranges.at(0).size(), 1u << 20);
}

// SEMANTICS: holes-are-zeros
TEST_F(CacheTest, HolesAreZeros) {
  open("abc");
  ASSERT_TRUE(write(3 * kFolio, "end"));
  EXPECT_EQ(read(0, 5), std::string("abc\0\0", 5));
  EXPECT_EQ(read(2 * kFolio, 4), std::string(4, '\0'));
  EXPECT_EQ(mapping->size(), 3 * kFolio + 3);
}

// SEMANTICS: holes-are-zeros
TEST_F(CacheTest, TruncateDownAndUpLeavesZeros) {
  open(std::string(2 * kFolio, 'a'));
  EXPECT_EQ(read(0, 10), std::string(10, 'a'));
  ASSERT_TRUE(write(5, "dirty tail"));
  auto resize = [this](std::uint64_t size) -> Status {
    return loop.run(mapping->truncate(size, [this, size]() -> Task<Status> {
      store->file.resize(size);
      co_return success();
    }));
  };
  ASSERT_TRUE(resize(7));
  ASSERT_TRUE(resize(2 * kFolio));
  EXPECT_EQ(read(0, 12), std::string("aaaaadi\0\0\0\0\0", 12));
  EXPECT_FALSE(flush(InvalidateMode::kHybrid).error);
  EXPECT_EQ(store->contents().substr(0, 12), std::string("aaaaadi\0\0\0\0\0", 12));
  EXPECT_EQ(store->file.size(), 2 * kFolio);
}

TEST_F(CacheTest, FailedTruncateChangesNothing) {
  open("0123456789");
  ASSERT_TRUE(write(8, "dirty"));
  auto status = loop.run(mapping->truncate(4, []() -> Task<Status> { co_return Errno(EPERM); }));
  EXPECT_EQ(status.error(), Errno(EPERM));
  EXPECT_EQ(read(0, 100), "01234567dirty");
  EXPECT_EQ(mapping->dirty_bytes(), 5u);
}

// SEMANTICS: error-once
TEST_F(CacheTest, FailedWriteStaysDirtyIsReportedOnceAndCanBeRetried) {
  open();
  ErrCursor first = mapping->errors().sample(), second = mapping->errors().sample();
  ASSERT_TRUE(write(0, "precious"));
  store->write_error = Errno(ENOSPC);
  EXPECT_EQ(flush(InvalidateMode::kHybrid).error, Errno(ENOSPC));
  EXPECT_EQ(mapping->dirty_bytes(), 8u);
  EXPECT_EQ(read(0, 8), "precious");
  for (ErrCursor* cursor : {&first, &second}) {
    EXPECT_EQ(mapping->errors().check(*cursor).error(), Errno(ENOSPC));
    EXPECT_TRUE(mapping->errors().check(*cursor));
  }
  store->write_error.reset();
  EXPECT_FALSE(flush(InvalidateMode::kHybrid).error);
  EXPECT_EQ(store->contents(), "precious");
  EXPECT_EQ(mapping->dirty_bytes(), 0u);
}

// SEMANTICS: error-keeps
TEST_F(CacheTest, AfterAFailureWritersLearnAtOnce) {
  open();
  ASSERT_TRUE(write(0, "a"));
  store->write_error = Errno(ENOSPC);
  flush(InvalidateMode::kHybrid);
  EXPECT_EQ(write(1, "b").error(), Errno(ENOSPC));
  store->write_error.reset();
  EXPECT_TRUE(write(1, "b"));
  EXPECT_EQ(read(0, 2), "ab");
}

TEST_F(CacheTest, ReadErrorsReachTheReader) {
  open("text");
  store->read_error = Errno(EIO);
  EXPECT_EQ(read(0, 4), "EIO");
  store->read_error.reset();
  EXPECT_EQ(read(0, 4), "text");
}

// SEMANTICS: one-budget
TEST_F(CacheTest, AFileLargerThanTheBudgetPassesThrough) {
  open();
  std::string megabyte(1 << 20, 'm');
  for (int i = 0; i < 32; ++i) {
    ASSERT_TRUE(write(static_cast<std::uint64_t>(i) << 20, megabyte));
    ASSERT_LE(cache->stats().bytes, small_config().cache_size);
    ASSERT_LE(cache->stats().dirty_bytes, small_config().dirty_limit);
  }
  EXPECT_LE(cache->stats().peak_bytes, small_config().cache_size);
  EXPECT_FALSE(flush(InvalidateMode::kHybrid).error);
  EXPECT_EQ(store->file.size(), 32u << 20);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(read(static_cast<std::uint64_t>(i) << 20, 2), "mm");
  EXPECT_LE(cache->stats().peak_bytes, small_config().cache_size);
}

// A folio's metadata counts too, and is a noticeable share of small folios.
// SEMANTICS: one-budget
TEST_F(CacheTest, FillsOfSmallFoliosStayWithinTheBudget) {
  CacheConfig config = small_config();
  config.folio_size = 4096;
  open(std::string(32 << 20, 's'), config);
  for (std::uint64_t offset = 0; offset < 32u << 20; offset += 2 << 20) {
    store->hold_reads = true;  // both reserve room before either uses it
    auto first = loop.start(mapping->read(ByteRange::of(offset, 1 << 20), nullptr));
    auto second = loop.start(mapping->read(ByteRange::of(offset + (1 << 20), 1 << 20), nullptr));
    loop.settle();
    store->release();
    loop.finish([&] { return first->has_value() && second->has_value(); });
    EXPECT_EQ((*first)->value().bytes + (*second)->value().bytes, 2u << 20);
  }
  EXPECT_LE(cache->stats().peak_bytes, config.cache_size);
}

// SEMANTICS: old-dirty-is-written
TEST_F(CacheTest, OldDirtyBytesAreWrittenWithoutBeingAsked) {
  open();
  ASSERT_TRUE(write(0, "later"));
  loop.finish([this] { return mapping->dirty_bytes() == 0; });
  EXPECT_EQ(store->contents(), "later");
}

// SEMANTICS: old-dirty-is-written
TEST_F(CacheTest, TheAgeAtWhichDirtyBytesAreWrittenCanBeChanged) {
  CacheConfig config = small_config();
  config.dirty_expire = std::chrono::minutes(1);
  open("", config);
  ASSERT_TRUE(write(0, "later"));
  const TimePoint stored = loop.clock.now();
  loop.finish([&] { return loop.clock.now() - stored >= std::chrono::seconds(50); });
  EXPECT_GT(mapping->dirty_bytes(), 0u);
  config.dirty_expire = std::chrono::seconds(1);
  cache->reconfigure(config);
  loop.finish([this] { return mapping->dirty_bytes() == 0; });
  EXPECT_LT(loop.clock.now() - stored, std::chrono::seconds(55));
}

// SEMANTICS: direct-is-coherent
TEST_F(CacheTest, DirectIoIsCoherentWithTheCache) {
  open("0123456789");
  EXPECT_EQ(read(0, 10), "0123456789");
  ASSERT_TRUE(write(2, "buffered"));
  auto direct = loop.run(mapping->read_direct({0, 10}));
  ASSERT_TRUE(direct);
  EXPECT_EQ(text_of(direct.value()), "01buffered");
  ASSERT_TRUE(loop.run(mapping->write_direct(0, bytes("DIRECT"))));
  EXPECT_EQ(store->contents(), "DIRECTered");
  EXPECT_EQ(read(0, 10), "DIRECTered");
}

TEST_F(CacheTest, ReadaheadHidesLaterReads) {
  CacheConfig config = small_config();
  config.readahead = 1 << 20;
  open(std::string(1 << 20, 'r'), config);
  Readahead readahead;
  for (std::uint64_t at = 0; at < 1 << 20; at += 32 << 10) {
    auto result = loop.run(mapping->read(ByteRange::of(at, 32 << 10), &readahead));
    ASSERT_TRUE(result);
    ASSERT_EQ(result.value().bytes, 32u << 10);
  }
  EXPECT_LT(store->reads.size(), 12u);
  EXPECT_GT(cache->stats().readahead_hits, 100u);
}

TEST_F(CacheTest, ReadaheadGrowsOnlyWhereReadersHaveToWait) {
  constexpr std::uint64_t kSize = 256 << 20, kMost = 16 << 20, kRead = 128 << 10;
  auto read_all = [](bool cached) {
    Readahead readahead;
    std::uint64_t furthest = 0;
    for (std::uint64_t at = 0; at < kSize / 2; at += kRead) {
      const ByteRange ahead = readahead.advance({at, at + kRead}, cached, kSize, kMost);
      if (!ahead.empty()) furthest = std::max(furthest, ahead.end - at);
    }
    return furthest;
  };
  EXPECT_LE(read_all(/*cached=*/true), (2u << 20) + kRead);
  EXPECT_GE(read_all(/*cached=*/false), kMost);
}

// Each wait of the reader costs a round trip, so readahead must grow quickly.
TEST_F(CacheTest, ReadaheadOfAReaderWhoWaitsIsAtItsMostSoon) {
  constexpr std::uint64_t kSize = 256 << 20, kMost = 16 << 20, kRead = 128 << 10;
  Readahead readahead;
  int waits = 0;
  // The reader takes no time between reads; all bytes asked for arrive when it next waits.
  std::uint64_t at = 0, fetched = 0, arrived = 0;
  while (fetched < at + kMost - kRead) {
    ASSERT_LT(at, kSize / 2);
    const bool cached = at + kRead <= arrived;
    const ByteRange ahead = readahead.advance({at, at + kRead}, cached, kSize, kMost);
    if (!ahead.empty()) fetched = ahead.end;
    if (!cached) {
      ++waits;
      arrived = std::max(fetched, at + kRead);
    }
    at += kRead;
  }
  EXPECT_LE(waits, 4);
}

// Bytes fetched ahead stay until they are read, however many readers take turns.
TEST_F(CacheTest, NothingThatIsReadAheadForManyIsFetchedTwice) {
  constexpr std::uint64_t kReaders = 16, kEach = 8 << 20, kRead = 128 << 10;
  CacheConfig config = small_config();
  config.cache_size = 64 << 20;
  config.readahead = 8 << 20;
  config.used_once = 4 << 20;
  open(std::string(kReaders * kEach, 'r'), config);
  std::vector<std::shared_ptr<Mapping>> files;
  std::vector<std::shared_ptr<test::FakeStore>> stores;
  std::vector<Readahead> readers(kReaders);
  for (std::uint64_t i = 0; i < kReaders; ++i) {
    stores.push_back(std::make_shared<test::FakeStore>());
    stores.back()->set_contents(std::string(kEach, 'r'));
    files.push_back(cache->make_mapping(stores.back(), kernel, kEach));
  }
  for (std::uint64_t at = 0; at < kEach; at += kRead) {
    for (std::uint64_t i = 0; i < kReaders; ++i) {
      ASSERT_TRUE(loop.run(files[i]->read(ByteRange::of(at, kRead), &readers[i])));
    }
  }
  for (const auto& each : stores) {
    std::uint64_t fetched = 0;
    for (const ByteRange& range : each->reads) fetched += range.size();
    EXPECT_EQ(fetched, kEach);
  }
}

TEST_F(CacheTest, ManyReadersAreReadAheadLessFar) {
  CacheConfig config = small_config();
  config.cache_size = 64 << 20;
  config.readahead = 8 << 20;
  open(std::string(64 << 20, 'r'), config);
  Readahead readers[8];
  for (std::uint64_t step = 0; step < 16; ++step) {
    for (std::uint64_t reader = 0; reader < 8; ++reader) {
      const std::uint64_t at = (reader << 23) + step * (128 << 10);
      ASSERT_TRUE(loop.run(mapping->read(ByteRange::of(at, 128 << 10), &readers[reader])));
    }
  }
  EXPECT_LE(cache->stats().bytes, 40u << 20);
}

// Compares the cache with a plain array, through every operation.
TEST_P(EveryMode, AgreesWithAPlainArray) {
  std::mt19937 random(11);
  CacheConfig config = small_config();
  config.readahead = 64 << 10;
  open("", config);
  std::string model;
  constexpr std::uint64_t kMax = 40 * kFolio;
  Readahead readahead;
  for (int step = 0; step < 4000; ++step) {
    const std::uint64_t offset = random() % kMax, length = 1 + random() % (3 * kFolio);
    switch (random() % 10) {
      case 0:
      case 1:
      case 2: {
        std::string data(length, static_cast<char>('a' + random() % 26));
        ASSERT_TRUE(write(offset, data));
        if (model.size() < offset + length) model.resize(offset + length);
        model.replace(offset, length, data);
        break;
      }
      case 3: {
        std::string data(length, static_cast<char>('A' + random() % 26));
        ASSERT_TRUE(loop.run(mapping->write_direct(offset, bytes(data))));
        if (model.size() < offset + length) model.resize(offset + length);
        model.replace(offset, length, data);
        break;
      }
      case 4: {
        ASSERT_TRUE(loop.run(mapping->truncate(offset, [&]() -> Task<Status> {
          store->file.resize(offset);
          co_return success();
        })));
        model.resize(offset);
        break;
      }
      case 5:
        ASSERT_FALSE(invalidate(GetParam()).error);
        break;
      case 6:
        ASSERT_FALSE(flush(GetParam()).error);
        break;
      default: {
        auto result = loop.run(mapping->read(ByteRange::of(offset, length), &readahead));
        ASSERT_TRUE(result);
        const std::string expected = offset < model.size() ? model.substr(offset, length) : "";
        ASSERT_EQ(text_of(result.value()), expected) << "step " << step;
      }
    }
    ASSERT_EQ(mapping->size(), model.size());
  }
  ASSERT_FALSE(flush(GetParam()).error);
  EXPECT_EQ(store->contents(), model);
}
// Applies to every TEST_P of the suite, also to those in other files.
INSTANTIATE_TEST_SUITE_P(Modes, EveryMode,
                         testing::Values(InvalidateMode::kLaunder, InvalidateMode::kBulk,
                                         InvalidateMode::kHybrid),
                         [](const auto& mode) { return std::string(mode_name(mode.param)); });

// The kernel may have dropped the page that it copied the write(2)'s bytes to, so a READ may come
// before the cache has them.
// SEMANTICS: own-changes-show
TEST_F(CacheTest, AReadWaitsForAStoreOfItsBytesThatHasArrived) {
  open(std::string(2 * kFolio, 'a'));
  read(0, 2 * kFolio);
  ASSERT_TRUE(write(0, "1"));
  store->hold_writes = true;
  auto laundering =
      loop.start(mapping->flush({InvalidateMode::kLaunder, InvalidateReason::kSync, true}));
  const std::string newer = "2";
  auto writer = loop.start(mapping->write(0, bytes(newer), WriteSource::kSystemCall));
  ASSERT_FALSE(writer->has_value()) << "the folio is being laundered";
  auto reader = loop.start(mapping->read({0, 1}, nullptr));
  EXPECT_FALSE(reader->has_value());
  EXPECT_EQ(read(kFolio, 1), "a") << "other bytes do not wait";
  store->release();
  loop.finish([&] { return reader->has_value() && writer->has_value(); });
  loop.finish([&] { return laundering->has_value(); });
  EXPECT_EQ(text_of((*reader)->value()), "2");
}

}  // namespace
}  // namespace foliofs::cache
