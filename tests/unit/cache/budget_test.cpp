// The memory budget under adverse loads, and which folios stay cached.
#include "tests/unit/cache/fixture.h"

namespace foliofs::cache {
namespace {

CacheConfig large_folios() {
  CacheConfig config;
  config.folio_size = 1 << 20;
  config.cache_size = 8 << 20;
  config.dirty_background = 2 << 20;
  config.dirty_limit = 4 << 20;
  config.readahead = 0;
  return config;
}

TEST_F(CacheTest, MoreReadersThanFoliosAllGetTheirBytes) {
  open(std::string(32 << 20, 'r'), large_folios());
  store->hold_reads = true;
  std::vector<std::shared_ptr<std::optional<Result<ReadResult>>>> readers;
  for (std::uint64_t i = 0; i < 32; ++i) {
    readers.push_back(loop.start(mapping->read({i << 20, (i + 1) << 20}, nullptr)));
  }
  EXPECT_LE(store->reads_waiting, 8u);
  loop.run(loop.clock.sleep(std::chrono::minutes(5)));  // the server is slow
  store->release();
  for (auto& reader : readers) {
    loop.finish([&] { return reader->has_value(); });
    ASSERT_TRUE(**reader) << errno_name((*reader)->error());
    EXPECT_EQ((*reader)->value().bytes, 1u << 20);
    reader.reset();
  }
  EXPECT_LE(cache->stats().peak_bytes, large_folios().cache_size);
}

TEST_F(CacheTest, CopiesOnWriteStayWithinTheBudget) {
  open("", large_folios());
  ASSERT_TRUE(write(0, std::string(2 << 20, 'a')));
  store->hold_writes = true;
  auto flushed =
      loop.start(mapping->flush({InvalidateMode::kHybrid, InvalidateReason::kSync, true}));
  std::vector<std::string> data;
  std::vector<std::shared_ptr<std::optional<Status>>> writers;
  for (int i = 0; i < 12; ++i) {
    data.push_back("store " + std::to_string(i));
    const std::uint64_t at = static_cast<std::uint64_t>(i % 2) << 20;
    writers.push_back(loop.start(mapping->write(at, bytes(data.back()), WriteSource::kSystemCall)));
  }
  EXPECT_LE(cache->stats().peak_bytes, large_folios().cache_size);
  store->release();
  for (auto& writer : writers) loop.finish([&] { return writer->has_value(); });
  loop.finish([&] { return flushed->has_value(); });
  EXPECT_LE(cache->stats().peak_bytes, large_folios().cache_size);
}

TEST_F(CacheTest, AWriterWaitsForMemoryUntilTheServerIsBack) {
  open("", large_folios());
  store->hold_writes = true;
  // The dirty limit does not hold up pages that the kernel writes back.
  const std::string megabyte(1 << 20, 'm');
  std::vector<std::shared_ptr<std::optional<Status>>> writers;
  for (std::uint64_t i = 0; i < 10; ++i) {
    writers.push_back(
        loop.start(mapping->write(i << 20, bytes(megabyte), WriteSource::kPageWriteback)));
  }
  loop.run(loop.clock.sleep(std::chrono::hours(1)));
  EXPECT_FALSE(writers.back()->has_value());
  store->release();
  for (auto& writer : writers) {
    loop.finish([&] { return writer->has_value(); });
    EXPECT_TRUE(**writer);
  }
  EXPECT_FALSE(flush(InvalidateMode::kHybrid).error);
  EXPECT_EQ(store->file.size(), 10u << 20);
}

TEST_F(CacheTest, AWriterLearnsThatMemoryIsFullOfWhatCannotBeWritten) {
  open("", large_folios());
  store->write_error = Errno(EIO);
  const std::string megabyte(1 << 20, 'm');
  Status last = success();
  for (std::uint64_t i = 0; i < 10 && last; ++i) {
    last = loop.run(mapping->write(i << 20, bytes(megabyte), WriteSource::kPageWriteback));
  }
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error(), Errno(EIO));
}

TEST_F(CacheTest, OneLongScanDoesNotPushOutWhatIsUsedAgain) {
  open(std::string(32 << 20, 's'));
  for (int again = 0; again < 2; ++again) read(0, 1 << 20);
  const auto before = store->reads.size();
  for (std::uint64_t at = 1 << 20; at < 32u << 20; at += 16 << 10) read(at, 16 << 10);
  const auto scanned = store->reads.size();
  EXPECT_GT(scanned, before);
  read(0, 1 << 20);
  EXPECT_EQ(store->reads.size(), scanned) << "still cached";
}

TEST_F(CacheTest, SmallReadsOneAfterTheOtherAreOneUse) {
  CacheConfig config = small_config();
  config.folio_size = 64 << 10;
  open(std::string(32 << 20, 's'), config);
  for (int again = 0; again < 2; ++again) read(0, 1 << 20);
  for (std::uint64_t at = 1 << 20; at < 32u << 20; at += 4 << 10) read(at, 4 << 10);
  const auto scanned = store->reads.size();
  read(0, 1 << 20);
  EXPECT_EQ(store->reads.size(), scanned) << "the scan did not count as use of each folio again";
}

TEST_F(CacheTest, ReadsHereAndThereInAFolioAreOneUse) {
  CacheConfig config = small_config();
  config.folio_size = 64 << 10;
  config.readahead = 0;
  config.used_once = 1 << 20;
  open(std::string(8 << 20, 's'), config);
  for (std::uint64_t page : {9, 3, 12, 0, 7}) {
    for (std::uint64_t at = 0; at < 8u << 20; at += 64 << 10) read(at + page * 4096, 4096);
  }
  EXPECT_LE(cache->stats().bytes, 3u << 19);
}

TEST_F(CacheTest, OfWhatIsUsedOnceNotMuchIsKept) {
  CacheConfig config = small_config();
  config.used_once = 1 << 20;
  open(std::string(32 << 20, 's'), config);
  for (std::uint64_t at = 0; at < 16u << 20; at += 64 << 10) read(at, 64 << 10);
  EXPECT_LE(cache->stats().bytes, 3u << 19);
  ASSERT_TRUE(write(16 << 20, std::string(2 << 20, 'w')));
  EXPECT_FALSE(flush(InvalidateMode::kHybrid).error);
  EXPECT_GE(cache->stats().bytes, 2u << 20) << "what is dirty is kept, and then clean";
  read(18 << 20, 64 << 10);
  EXPECT_LE(cache->stats().bytes, 3u << 19) << "until somebody wants memory";
}

TEST_F(CacheTest, AFragmentedFolioIsFilledByFewReads) {
  CacheConfig config = small_config();
  config.folio_size = 64 << 10;
  open(std::string(64 << 10, '.'), config);
  for (std::uint64_t at = 0; at < 4096; at += 64) ASSERT_TRUE(write(at, "x"));
  EXPECT_EQ(read(0, 4096).substr(0, 3), "x..");
  EXPECT_LE(store->reads.size(), 2u);
}

TEST_F(CacheTest, ASmallerBudgetHoldsAtOnce) {
  open(std::string(8 << 20, 'a'));
  for (std::uint64_t at = 0; at < 7u << 20; at += 1 << 20) read(at, 1 << 20);
  CacheConfig smaller = small_config();
  smaller.cache_size = 2 << 20;
  cache->reconfigure(smaller);
  EXPECT_LE(cache->stats().bytes, smaller.cache_size);
}

// SEMANTICS: one-budget
TEST_F(CacheTest, WhatIsSetAsideIsTakenFromFoliosAndGivenBack) {
  CacheConfig config = small_config();
  config.used_once = config.cache_size;
  open(std::string(32 << 20, 's'), config);
  auto read_all = [this] {
    for (std::uint64_t at = 0; at < 32; ++at) EXPECT_EQ(read(at << 20, 1 << 20).size(), 1u << 20);
    return cache->stats().bytes;
  };
  const std::uint64_t most = cache->most_set_aside();
  EXPECT_GT(most, 0u);
  const std::uint64_t all = read_all();
  EXPECT_GT(all, config.cache_size - (2u << 20));
  cache->set_aside(2 << 20);
  EXPECT_LE(cache->stats().bytes, config.cache_size - (2u << 20)) << "at once";
  EXPECT_LE(read_all(), config.cache_size - (2u << 20));
  // However much memory is set aside for other uses, folios keep a minimum.
  cache->set_aside(1 << 30);
  EXPECT_LE(read_all(), config.cache_size - most);
  EXPECT_GE(cache->stats().bytes, config.cache_size / 2 - (1u << 20));
  cache->set_aside(0);
  EXPECT_EQ(read_all(), all);
}

TEST_F(CacheTest, DirtyBytesKeepTheirRoomWhateverIsSetAside) {
  CacheConfig config = small_config();
  config.dirty_limit = config.cache_size / 4 * 3;
  open("", config);
  cache->set_aside(1 << 30);
  store->hold_writes = true;
  const std::string megabyte(1 << 20, 'd');
  for (std::uint64_t at = 0; at < 5; ++at) {
    ASSERT_TRUE(mapping->try_write(at << 20, bytes(megabyte), WriteSource::kSystemCall)) << at;
  }
  store->release();
}

}  // namespace
}  // namespace foliofs::cache
