#include "foliofs/base/unix_time.h"

#include <gtest/gtest.h>

namespace foliofs::test {
namespace {

std::int64_t round_trip(std::int64_t seconds, std::int64_t ns) {
  const timespec time = to_timespec(to_ns(seconds, ns));
  EXPECT_EQ(time.tv_nsec, ns);
  return time.tv_sec;
}

TEST(UnixTime, GoesThereAndBack) {
  for (std::int64_t seconds : {0L, 1L, -1L, 1'700'000'000L, -5'000'000'000L, 9'000'000'000L}) {
    EXPECT_EQ(round_trip(seconds, 0), seconds);
    EXPECT_EQ(round_trip(seconds, 999'999'999), seconds);
  }
}

// SEMANTICS: times-as-local
TEST(UnixTime, WhatIsTooFarAwayIsTheNearest) {
  const std::int64_t last = to_ns(INT64_MAX, 0);
  EXPECT_EQ(to_ns(15'032'385'535, 5), last);
  EXPECT_EQ(to_timespec(last).tv_sec, INT64_MAX / kSecondNs - 1);
  EXPECT_EQ(to_ns(-15'032'385'535, 5), -last);
  EXPECT_EQ(to_ns(INT64_MIN, 0), -last);
}

}  // namespace
}  // namespace foliofs::test
