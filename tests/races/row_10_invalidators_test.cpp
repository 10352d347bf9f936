// Row 10: several invalidations at once. Each returns only after a pass that began after its own
// request.
#include "race_fixture.h"

namespace foliofs::cache {
namespace {

class Passes {
 public:
  explicit Passes(const Cache& cache) : cache_(cache), before_(count()) {}
  std::uint64_t since() const { return count() - before_; }

 private:
  std::uint64_t count() const {
    std::uint64_t passes = 0;
    const CacheStats stats = cache_.stats();
    for (const auto& of_mode : stats.invalidations) {
      passes += of_mode[static_cast<std::size_t>(InvalidateReason::kUser)];
    }
    return passes;
  }
  const Cache& cache_;
  const std::uint64_t before_;
};

// Bytes that were faulted in during the first pass are stale for a request that is made later. Two
// requests that are made during one pass may share the next.
TEST_P(RaceTable, Row10_RequestAfterUnmapIsNotAnsweredByThatPass) {
  open(std::string(kFolio, 'a'));
  Passes passes(*cache);
  Future<InvalidateReport> second, third;
  at(FaultPoint::kAfterUnmap, [&]() -> Task<void> {
    const std::string seen = co_await fault(0, 4);
    EXPECT_EQ(seen, "aaaa");
    store->set_contents(std::string(kFolio, 'b'));
    second = start_invalidate();
    third = start_invalidate();
  });
  auto first = start_invalidate();
  finish(first, second, third);
  EXPECT_EQ(read(0, 4), "bbbb");
  EXPECT_EQ(passes.since(), 2u);
}

TEST_P(RaceTable, Row10_RequestBeforeEraseFlushesWhatCameBeforeIt) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(0, "1"));
  Passes passes(*cache);
  Future<InvalidateReport> second;
  std::string when_second_returned;
  auto ask_and_look = [&]() -> Task<InvalidateReport> {
    auto report = co_await mapping->invalidate(request());
    when_second_returned = on_server(0, 3);
    co_return report;
  };
  at(FaultPoint::kBeforeErase, [&] {
    mapped_store(1, "2");
    second = loop.start(ask_and_look());
  });
  auto first = start_invalidate();
  finish(first, second);
  EXPECT_EQ(when_second_returned, "12a");
  EXPECT_FALSE((*second)->error);
  EXPECT_EQ(passes.since(), 2u);
}

TEST_P(RaceTable, Row10_RequestsWhileAWriteIsInFlight) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(0, "1"));
  Passes passes(*cache);
  windows.stop_at(FaultPoint::kAfterSend);
  auto first = start_invalidate();
  ASSERT_TRUE(windows.stopped());
  mapped_store(1, "2");
  auto second = start_invalidate();
  auto third = start_invalidate();
  EXPECT_FALSE(second->has_value());
  windows.go_on();
  finish(first, second, third);
  EXPECT_EQ(on_server(0, 3), "12a");
  EXPECT_EQ(mapping->dirty_bytes(), 0u);
  EXPECT_EQ(passes.since(), 2u);
}

// The second pass began before the third request.
TEST_P(RaceTable, Row10_RequestDuringTheSecondPassGetsAThird) {
  open(std::string(kFolio, 'a'));
  Passes passes(*cache);
  Future<InvalidateReport> second, third;
  at(FaultPoint::kAfterUnmap, [&] { second = start_invalidate(); });
  at(FaultPoint::kAfterUnmap, [&]() -> Task<void> {
    const std::string seen = co_await fault(0, 4);
    EXPECT_EQ(seen, "aaaa");
    store->set_contents(std::string(kFolio, 'b'));
    third = start_invalidate();
  });
  auto first = start_invalidate();
  finish(first);
  finish(second);
  finish(third);
  EXPECT_EQ(read(0, 4), "bbbb");
  EXPECT_EQ(passes.since(), 3u);
}

// A pass without a flush, or by another path, does not answer a request.
TEST_P(RaceTable, Row10_RequestsForOtherPathsGetTheirOwn) {
  open(std::string(kFolio, 'a'));
  ASSERT_TRUE(write(0, "1"));
  Passes passes(*cache);
  std::vector<Future<InvalidateReport>> others;
  at(FaultPoint::kBeforeErase, [&] {
    for (InvalidateMode mode :
         {InvalidateMode::kLaunder, InvalidateMode::kBulk, InvalidateMode::kHybrid}) {
      others.push_back(loop.start(mapping->invalidate({mode, InvalidateReason::kUser, true})));
    }
  });
  auto unflushed =
      loop.run(mapping->invalidate({GetParam(), InvalidateReason::kUser, /*flush=*/false}));
  EXPECT_EQ(unflushed.error, Errno(EBUSY));
  loop.finish([&] {
    return std::all_of(others.begin(), others.end(), [](auto& one) { return one->has_value(); });
  });
  for (const auto& other : others) EXPECT_FALSE((*other)->error);
  EXPECT_EQ(on_server(0, 2), "1a");
  EXPECT_EQ(passes.since(), 4u);
}

}  // namespace
}  // namespace foliofs::cache
