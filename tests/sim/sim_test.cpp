// Tests of the simulator itself: a seed repeats a run, and the references find what they must.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "tests/sim/reference.h"
#include "tests/sim/shorten.h"
#include "tests/sim/wait_graph.h"

namespace foliofs::sim {
namespace {

using testing::HasSubstr;

class ReferenceTest : public testing::Test {
 protected:
  static constexpr int kA = 0, kB = 1;

  std::uint8_t written(int client, ByteRange range) {
    const auto value = reference.begin_write(client, "f", range);
    EXPECT_TRUE(value.has_value());
    reference.acknowledge_write("f", *value);
    return *value;
  }
  static std::string bytes(std::uint64_t count, std::uint8_t value) {
    return std::string(count, static_cast<char>(value));
  }
  static std::vector<Reference::Piece> nothing(int, const std::string&) { return {}; }
  static Reference::HeldByClient holding(std::uint64_t offset, std::string data) {
    return [=](int, const std::string&) {
      return std::vector<Reference::Piece>{{offset, data}};
    };
  }
  std::string stored(int client, std::uint64_t offset, const std::string& data) {
    return reference.check_stored(client, "f", offset, data);
  }
  std::string read(int client, const std::string& data) {
    const auto view = reference.begin_read(client, "f");
    return reference.check_read(client, "f", view, {0, data.size()}, data, /*old_end=*/false);
  }

  Reference reference;
};

TEST_F(ReferenceTest, AByteThatIsNowhereIsLost) {
  const auto value = written(kA, {0, 8});
  EXPECT_EQ(reference.check_kept("f", "", holding(0, bytes(8, value))), "");
  EXPECT_EQ(reference.check_kept("f", bytes(8, value), nothing), "");
  EXPECT_THAT(reference.check_kept("f", bytes(7, value), nothing), HasSubstr("lost"));
}

TEST_F(ReferenceTest, AByteThatIsCoveredIsNotLost) {
  written(kA, {0, 8});
  const auto younger = written(kA, {0, 8});
  EXPECT_EQ(reference.check_kept("f", bytes(8, younger), nothing), "");
}

TEST_F(ReferenceTest, AByteThatIsTruncatedAwayIsNotLost) {
  const auto value = written(kA, {0, 8});
  const auto cut = reference.begin_truncate(kA, "f", 4);
  reference.acknowledge_truncate("f", cut);
  EXPECT_EQ(reference.check_kept("f", bytes(4, value), nothing), "");
  EXPECT_THAT(reference.check_kept("f", "", nothing), HasSubstr("lost")) << "the first four";
}

TEST_F(ReferenceTest, ASettledByteMustBeOnTheServer) {
  const auto value = written(kA, {0, 8});
  EXPECT_EQ(reference.check_settled("f", ""), "");
  reference.synced(kA, "f", reference.now());
  EXPECT_NE(reference.check_settled("f", ""), "");
  EXPECT_EQ(reference.check_settled("f", bytes(8, value)), "");
}

TEST_F(ReferenceTest, WhatWasAcknowledgedAfterTheSyncBeganIsNotSettledByIt) {
  const Moment since = reference.now();
  written(kA, {0, 8});
  reference.synced(kA, "f", since);
  EXPECT_EQ(reference.check_settled("f", ""), "");
}

TEST_F(ReferenceTest, OneClientsWritesArriveInTheirOrder) {
  const auto older = written(kA, {0, 8});
  const auto younger = written(kA, {4, 8});
  EXPECT_EQ(stored(kA, 0, bytes(8, older)), "");
  EXPECT_EQ(stored(kA, 4, bytes(4, younger)), "");
  EXPECT_EQ(stored(kA, 0, bytes(4, older)), "") << "where they do not meet";
  EXPECT_NE(stored(kA, 4, bytes(4, older)), "");
}

TEST_F(ReferenceTest, NothingArrivesBeyondATruncationThatIsYounger) {
  const auto value = written(kA, {0, 8});
  const auto cut = reference.begin_truncate(kA, "f", 4);
  reference.truncated_on_server(kA, "f", 4);
  reference.acknowledge_truncate("f", cut);
  EXPECT_EQ(stored(kA, 0, bytes(4, value)), "");
  EXPECT_NE(stored(kA, 4, bytes(4, value)), "");
}

TEST_F(ReferenceTest, AReaderSeesHisOwnWrites) {
  const auto value = written(kA, {0, 8});
  EXPECT_EQ(read(kA, bytes(8, value)), "");
  EXPECT_NE(read(kA, bytes(8, 0)), "");
  EXPECT_EQ(read(kB, bytes(8, 0)), "") << "nobody has told the other client";
}

TEST_F(ReferenceTest, AReaderWhoHasLookedAnewSeesWhatWasSettled) {
  const auto value = written(kA, {0, 8});
  reference.synced(kA, "f", reference.now());
  EXPECT_EQ(read(kB, bytes(8, 0)), "");
  reference.refreshed(kB, "f", reference.now());
  EXPECT_NE(read(kB, bytes(8, 0)), "");
  EXPECT_EQ(read(kB, bytes(8, value)), "");
}

TEST_F(ReferenceTest, APageMayBringOldBytesBack) {
  const auto old = written(kA, {0, 8});
  reference.synced(kA, "f", reference.now());
  reference.page_dirtied(kB, "f", {0, bytes(8, old)});
  written(kA, {0, 8});
  reference.synced(kA, "f", reference.now());
  EXPECT_EQ(reference.check_settled("f", bytes(8, old)), "");
}

TEST_F(ReferenceTest, ASizeThatNothingExplains) {
  EXPECT_EQ(stored(kA, 0, bytes(8, written(kA, {0, 8}))), "");
  reference.synced(kA, "f", reference.now());
  EXPECT_EQ(reference.check_size("f", 8), "");
  EXPECT_NE(reference.check_size("f", 7), "");
  EXPECT_NE(reference.check_size("f", 9), "");
}

TEST(WaitGraphTest, ACycleIsADeadlock) {
  WaitGraph graph;
  const WaitGraph::Edge first(graph, "reader", "gate");
  const WaitGraph::Edge second(graph, "gate", "notifier");
  EXPECT_THAT(graph.describe(), HasSubstr("no cycle"));
  const WaitGraph::Edge third(graph, "notifier", "reader");
  EXPECT_THAT(graph.describe(), HasSubstr("deadlock: reader -> gate -> notifier -> reader"));
}

class RunTest : public testing::TestWithParam<cache::InvalidateMode> {
 protected:
  RunTest() { spdlog::set_level(spdlog::level::off); }
};

TEST_P(RunTest, ASeedRepeatsARunExactly) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const sim::Run run{seed, seed, GetParam(), {}};
    const Outcome first = run_once(run, /*traced=*/true);
    const Outcome second = run_once(run, /*traced=*/true);
    ASSERT_EQ(first.trace, second.trace) << "seed " << seed;
    EXPECT_EQ(first.steps, second.steps);
    EXPECT_GT(first.trace.size(), 10u);
  }
}

// A workload proves nothing about a call that it hardly ever makes.
TEST_P(RunTest, WhatCanHappenDoes) {
  Counts counts;
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    const Outcome outcome = run_once({seed, seed, GetParam(), {}}, /*traced=*/false);
    EXPECT_EQ(outcome.wrong, "") << "seed " << seed;
    for (const auto& [what, count] : outcome.counts) counts[what] += count;
  }
  for (const char* what :
       {"open",       "dup",           "close", "mmap", "read",       "write", "store",
        "load",       "truncate",      "fsync", "stat", "invalidate", "sleep", "fail WRITEs",
        "fail READs", "fail SETATTRs", "cut",   "hold", "restart",    "recall"}) {
    EXPECT_GE(counts[what], 50u) << what;
  }
  for (const char* what : {"fsync failed", "close failed", "write failed", "read failed",
                           "truncate failed", "set mode"}) {
    EXPECT_GE(counts[what], 3u) << what;
  }
  EXPECT_GT(counts["store"], counts["store beyond the end"]);
}

INSTANTIATE_TEST_SUITE_P(, RunTest,
                         testing::Values(cache::InvalidateMode::kLaunder,
                                         cache::InvalidateMode::kBulk,
                                         cache::InvalidateMode::kHybrid),
                         [](const auto& tested) { return cache::mode_name(tested.param); });

}  // namespace
}  // namespace foliofs::sim
