// The blocking pool of an export: calls with the same key never run at the same time, and do not
// hold up other calls.
#include "server/blocking_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

namespace foliofs::server {
namespace {

TEST(BlockingPoolTest, CallsOfOneKeyRunOneAfterTheOther) {
  BlockingPool pool(4);
  std::atomic<int> running{0};
  std::vector<int> order;  // only one call at a time writes it
  bool overlapped = false;
  for (int i = 0; i < 1000; ++i) {
    pool.post_in_turn(7, [&, i] {
      overlapped = overlapped || ++running != 1;
      order.push_back(i);
      --running;
    });
  }
  pool.join();
  EXPECT_FALSE(overlapped);
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(BlockingPoolTest, OneThatWaitsHoldsUpOnlyItsOwnKey) {
  BlockingPool pool(2);
  std::promise<void> others_done;
  std::atomic<bool> second_ran{false};
  pool.post_in_turn(1, [&] {
    others_done.get_future().wait_for(std::chrono::seconds(30));
    EXPECT_FALSE(second_ran);
  });
  pool.post_in_turn(1, [&] { second_ran = true; });
  pool.post_in_turn(2, [] {});
  pool.post([&] { others_done.set_value(); });
  pool.join();
  EXPECT_TRUE(second_ran);
}

TEST(BlockingPoolTest, HasBlockersWhileSomethingSaysSo) {
  BlockingPool pool(1);
  EXPECT_FALSE(pool.has_blockers());
  {
    BlockingPool::Blocker one(pool);
    BlockingPool::Blocker two(std::move(one));
    EXPECT_TRUE(pool.has_blockers());
    two.end();
    EXPECT_FALSE(pool.has_blockers());
  }
  EXPECT_FALSE(pool.has_blockers());
}

}  // namespace
}  // namespace foliofs::server
