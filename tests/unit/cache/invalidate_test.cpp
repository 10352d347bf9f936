// Each mode alone: which folios it drops and keeps, how many WRITEs it sends, which writers it
// makes wait, and what it reports.
#include "tests/unit/cache/fixture.h"

namespace foliofs::cache {
namespace {

// SEMANTICS: open-sees-closed
TEST_P(EveryMode, FlushesDropsAndReadsAgain) {
  open(std::string(4 * kFolio, 'a'));
  read(0, 4 * kFolio);
  ASSERT_TRUE(write(kFolio, "dirty"));
  auto report = invalidate(GetParam());
  EXPECT_FALSE(report.error);
  EXPECT_EQ(report.folios_dropped, 4u);
  EXPECT_EQ(report.folios_kept, 0u);
  EXPECT_EQ(report.bytes_written, 5u);
  EXPECT_EQ(store->contents().substr(kFolio, 6), "dirtya");
  EXPECT_TRUE(store->writes.at(0).for_invalidation);
  EXPECT_EQ(mapping->cached_bytes(), 0u);

  store->set_contents(std::string(4 * kFolio, 'b'));
  EXPECT_EQ(read(kFolio, 2), "bb");
}

TEST_P(EveryMode, UnmapsTheWholeFile) {
  open(std::string(4 * kFolio, 'a'));
  read(kFolio, 10);
  invalidate(GetParam());
  EXPECT_TRUE(all_unmapped());
}

// SEMANTICS: busy-is-said, own-bytes-win
TEST_P(EveryMode, WithoutFlushDirtyBytesStayAndThatIsSaid) {
  open(std::string(2 * kFolio, 'a'));
  read(0, 2 * kFolio);
  ASSERT_TRUE(write(3, "mine"));
  auto report = invalidate(GetParam(), /*flush=*/false);
  EXPECT_EQ(report.error, Errno(EBUSY));
  EXPECT_EQ(report.folios_kept, 1u);
  EXPECT_EQ(report.folios_dropped, 1u);
  EXPECT_EQ(report.write_calls, 0u);
  store->set_contents(std::string(2 * kFolio, 'b'));
  EXPECT_EQ(read(0, 10), "bbbminebbb") << "fresh bytes around the dirty ones";
}

// SEMANTICS: close-writes
TEST_P(EveryMode, CloseWritesBackAndKeepsCleanBytes) {
  open(std::string(2 * kFolio, 'a'));
  read(0, 2 * kFolio);
  ASSERT_TRUE(write(0, "x"));
  auto report = flush(GetParam());
  EXPECT_FALSE(report.error);
  EXPECT_EQ(report.folios_dropped, 0u);
  EXPECT_EQ(store->contents().substr(0, 2), "xa");
  EXPECT_TRUE(kernel->unmapped.empty()) << "FLUSH must not wait for the kernel's pages";
  const auto reads = store->reads.size();
  EXPECT_EQ(read(0, 2), "xa");
  EXPECT_EQ(store->reads.size(), reads);
}

// The kernel may still have pages of folios that the cache drops in the meantime.
TEST_P(EveryMode, FoliosThatGoWhileTheKernelUnmapsHideNoPages) {
  open(std::string(8 * kFolio, 'a'));
  read(0, 8 * kFolio);
  kernel->on_unmap = [&](ByteRange) -> Task<void> {
    mapping->set_server_size(kFolio);
    mapping->set_server_size(8 * kFolio);
    co_return;
  };
  EXPECT_FALSE(invalidate(GetParam()).error);
  kernel->on_unmap = nullptr;
  EXPECT_TRUE(all_unmapped());
}

TEST_P(EveryMode, WriteCallsAreThePathsPrice) {
  open();
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(write(i * kFolio, std::string(kFolio, 'w')));
  auto report = invalidate(GetParam());
  EXPECT_EQ(report.bytes_written, 64 * kFolio);
  if (GetParam() == InvalidateMode::kLaunder) {
    EXPECT_EQ(report.write_calls, 64u);
    EXPECT_EQ(report.folios_laundered, 64u);
  } else {
    EXPECT_EQ(report.write_calls, 1u);
    EXPECT_EQ(report.folios_laundered, 0u);
  }
}

TEST_F(CacheTest, LaunderHasOneWriteInFlight) {
  open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(write(i * kFolio, "x"));
  store->hold_writes = true;
  auto report = loop.start(mapping->invalidate({InvalidateMode::kLaunder, {}, true}));
  EXPECT_EQ(store->writes_waiting, 1u);
  store->release();
  loop.finish([&] { return report->has_value(); });
  EXPECT_EQ((*report)->write_calls, 3u);
}

struct Gated {
  InvalidateMode mode;
  bool same_folio;
  bool waits;
};

// Which writers wait while an invalidation's WRITE is in flight: in bulk all of them, in launder
// only a writer of the same folio, in hybrid none.
TEST_F(CacheTest, WhoWaitsForTheFlush) {
  for (Gated expected :
       {Gated{InvalidateMode::kBulk, false, true}, Gated{InvalidateMode::kBulk, true, true},
        Gated{InvalidateMode::kLaunder, false, false}, Gated{InvalidateMode::kLaunder, true, true},
        Gated{InvalidateMode::kHybrid, false, false},
        Gated{InvalidateMode::kHybrid, true, false}}) {
    SCOPED_TRACE(std::string(mode_name(expected.mode)) + (expected.same_folio ? " same" : ""));
    open();
    ASSERT_TRUE(write(0, "first"));
    store->hold_writes = true;
    auto report = loop.start(mapping->invalidate({expected.mode, {}, true}));
    ASSERT_EQ(store->writes_waiting, 1u);
    const std::uint64_t offset = expected.same_folio ? 1 : 8 * kFolio;
    const std::string data = "second";
    auto stored = loop.start(mapping->write(offset, bytes(data), WriteSource::kSystemCall));
    EXPECT_EQ(!stored->has_value(), expected.waits);
    loop.run(loop.clock.sleep(Duration(5000)));
    store->release();
    loop.finish([&] { return report->has_value() && stored->has_value(); });
    EXPECT_EQ((*report)->writer_stall_us_max >= Duration(5000), expected.waits);
    EXPECT_EQ(read(offset, 6), "second");
    EXPECT_FALSE(flush(expected.mode).error);
    EXPECT_EQ(store->contents().substr(offset, 6), "second");
    TearDown();
  }
  cache.reset();
}

TEST_F(CacheTest, BulkGatesFaultsUntilItIsDone) {
  open(std::string(kFolio, 'a'));
  read(0, 1);
  ASSERT_TRUE(write(0, "x"));
  store->hold_writes = true;
  auto report = loop.start(mapping->invalidate({InvalidateMode::kBulk, {}, true}));
  auto fault = loop.start(mapping->read({0, kFolio}, nullptr));
  EXPECT_FALSE(fault->has_value());
  store->release();
  loop.finish([&] { return report->has_value() && fault->has_value(); });
  EXPECT_EQ(text_of((*fault)->value()).substr(0, 2), "xa");
}

TEST_F(CacheTest, HybridKeepsADirtyStragglerOnRevalidateAndGatesForItOnClose) {
  for (bool close : {false, true}) {
    SCOPED_TRACE(close);
    open();
    ASSERT_TRUE(write(0, "0"));
    // A writer that stores again whenever the flush has caught up.
    int stores = 0;
    at_each(FaultPoint::kAfterAcknowledge, [&] {
      ++stores;
      ASSERT_TRUE(mapping->try_write(0, bytes("again"), WriteSource::kPageWriteback));
    });
    auto report = close ? flush(InvalidateMode::kHybrid)
                        : invalidate(InvalidateMode::kHybrid, true, InvalidateReason::kRevalidate);
    windows.disarm();
    // Hybrid makes no round that gains nothing before it gates.
    EXPECT_GE(stores, close ? 2 : 3);
    if (close) {
      EXPECT_EQ(report.folios_laundered, 1u);
      EXPECT_FALSE(report.error);
    } else {
      EXPECT_EQ(report.error, Errno(EBUSY));
      EXPECT_EQ(report.folios_kept, 1u);
    }
    EXPECT_EQ(read(0, 5), "again");
    TearDown();
  }
  cache.reset();
}

// The gate can hold up a writer that uses write(2), unlike the kernel's page writeback. So an
// invalidation that a user requests does not fail with EBUSY.
TEST_F(CacheTest, HybridGatesForStragglersWhenAPersonAsks) {
  open(std::string(2 * kFolio, 'a'));
  ASSERT_TRUE(write(0, "0"));
  const std::string again = "again";
  std::vector<std::shared_ptr<std::optional<Status>>> writers;
  at_each(FaultPoint::kAfterSnapshot, [&] {
    writers.push_back(loop.start(mapping->write(0, bytes(again), WriteSource::kSystemCall)));
  });
  auto report = invalidate(InvalidateMode::kHybrid);
  windows.disarm();
  EXPECT_FALSE(report.error);
  EXPECT_EQ(report.folios_laundered, 1u);
  EXPECT_EQ(report.folios_kept, 0u);
  for (auto& writer : writers) loop.finish([&] { return writer->has_value(); });
  EXPECT_EQ(read(0, 6), "againa");
}

// Dirty mapped pages of uncached folios arrive while the invalidation unmaps, behind its cursor.
TEST_P(EveryMode, DirtyMappedPagesOfUncachedFoliosAreWrittenToo) {
  for (bool any_cached : {false, true}) {
    SCOPED_TRACE(any_cached);
    open(std::string(8 * kFolio, 'a'));
    if (any_cached) read(4 * kFolio, 1);
    std::vector<std::uint64_t> mapped{0, 2 * kFolio, 7 * kFolio};
    kernel->on_unmap = [&](ByteRange range) -> Task<void> {
      for (auto page = mapped.begin(); page != mapped.end();) {
        const std::uint64_t at = *page;
        if (!range.overlaps(ByteRange::of(at, kFolio))) {
          ++page;
          continue;
        }
        page = mapped.erase(page);
        auto stored = co_await mapping->write(at, bytes("mapped"), WriteSource::kPageWriteback);
        EXPECT_TRUE(stored);
      }
    };
    auto report = invalidate(GetParam());
    kernel->on_unmap = nullptr;
    EXPECT_TRUE(mapped.empty());
    EXPECT_FALSE(report.error);
    EXPECT_EQ(mapping->dirty_bytes(), 0u);
    for (std::uint64_t at : {0 * kFolio, 2 * kFolio, 7 * kFolio}) {
      EXPECT_EQ(store->contents().substr(at, 7), "mappeda");
    }
    TearDown();
  }
  cache.reset();
}

}  // namespace
}  // namespace foliofs::cache
