#include "foliofs/rpc/stats.h"

#include <gtest/gtest.h>

namespace foliofs::rpc {
namespace {

using std::chrono::microseconds;

TEST(CallStats, BucketHoldsLatenciesBelowItsPowerOfTwo) {
  CallStats stats;
  for (int us : {0, 1, 2, 3, 4, 1023, 1024}) stats.record(microseconds(us));
  EXPECT_EQ(stats.latency_buckets[0], 1u);   // 0
  EXPECT_EQ(stats.latency_buckets[1], 1u);   // 1
  EXPECT_EQ(stats.latency_buckets[2], 2u);   // 2, 3
  EXPECT_EQ(stats.latency_buckets[3], 1u);   // 4
  EXPECT_EQ(stats.latency_buckets[10], 1u);  // 1023
  EXPECT_EQ(stats.latency_buckets[11], 1u);  // 1024
  EXPECT_EQ(stats.count, 7u);
  EXPECT_EQ(stats.max_us, 1024u);
  EXPECT_EQ(stats.total_us, 2057u);
}

TEST(CallStats, WhatNoBucketCanHoldGoesToTheLast) {
  CallStats stats;
  stats.record(std::chrono::hours(24 * 365));
  stats.record(microseconds(-1));  // if the clock stepped back, the latency counts as 0
  EXPECT_EQ(stats.latency_buckets.back(), 1u);
  EXPECT_EQ(stats.latency_buckets.front(), 1u);
}

TEST(CallStats, PercentileIsTheUpperBoundOfItsBucket) {
  CallStats stats;
  EXPECT_EQ(stats.percentile_us(0.5), 0u);
  for (int i = 0; i < 90; ++i) stats.record(microseconds(10));
  for (int i = 0; i < 9; ++i) stats.record(microseconds(100));
  stats.record(microseconds(5000));
  EXPECT_EQ(stats.percentile_us(0), 16u);
  EXPECT_EQ(stats.percentile_us(0.5), 16u);
  EXPECT_EQ(stats.percentile_us(0.9), 16u);
  EXPECT_EQ(stats.percentile_us(0.91), 128u);
  EXPECT_EQ(stats.percentile_us(0.99), 128u);
  EXPECT_EQ(stats.percentile_us(1), 8192u);
}

}  // namespace
}  // namespace foliofs::rpc
