// The lane: calls that take turns never run beside each other, and hold up nobody else.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

#include "server/lane.h"

namespace foliofs::server {
namespace {

TEST(LaneTest, CallsOfOneKeyRunOneAfterTheOther) {
  Lane lane(4);
  std::atomic<int> running{0};
  std::vector<int> order;  // written by one at a time
  bool overlapped = false;
  for (int i = 0; i < 1000; ++i) {
    lane.post_in_turn(7, [&, i] {
      overlapped = overlapped || ++running != 1;
      order.push_back(i);
      --running;
    });
  }
  lane.join();
  EXPECT_FALSE(overlapped);
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(LaneTest, OneThatWaitsHoldsUpOnlyItsOwnKey) {
  Lane lane(2);
  std::promise<void> others_done;
  std::atomic<bool> second_ran{false};
  lane.post_in_turn(1, [&] {
    others_done.get_future().wait_for(std::chrono::seconds(30));
    EXPECT_FALSE(second_ran);
  });
  lane.post_in_turn(1, [&] { second_ran = true; });
  lane.post_in_turn(2, [] {});
  lane.post([&] { others_done.set_value(); });
  lane.join();
  EXPECT_TRUE(second_ran);
}

}  // namespace
}  // namespace foliofs::server
