// The threads that send notifications to the kernel, tested without a kernel.
#include "src/fuse/notification_thread.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <future>
#include <set>

namespace foliofs::fuse {
namespace {

using namespace std::chrono_literals;

class NotificationThreadTest : public testing::Test {
 protected:
  void wait_for(std::vector<NotificationRef> notifications) {
    std::size_t waiting = notifications.size();
    for (auto& notification : notifications) {
      boost::asio::co_spawn(context_, NotificationThread::wait(notification),
                            [&](std::exception_ptr) { --waiting; });
    }
    context_.restart();
    const auto work = boost::asio::make_work_guard(context_);
    while (waiting > 0) ASSERT_EQ(context_.run_one_for(60s), 1u);
  }
  static std::set<std::string> threads() {
    std::set<std::string> ids;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      ids.insert(task.path().filename());
    }
    return ids;
  }
  // The number of threads that did not exist `before`.
  static std::size_t new_threads(const std::set<std::string>& before) {
    const auto now = threads();
    return std::ranges::count_if(now, [&](const auto& id) { return !before.contains(id); });
  }

  boost::asio::io_context context_;
};

TEST_F(NotificationThreadTest, TellsInOrderOnItsOwnThread) {
  NotificationThread thread(context_.get_executor());
  std::vector<int> told;
  std::thread::id teller;
  thread.add([&] { teller = std::this_thread::get_id(); });
  thread.add([&] { told.push_back(1); });
  wait_for({thread.add([&] { told.push_back(2); })});
  EXPECT_EQ(told, (std::vector{1, 2}));
  EXPECT_NE(teller, std::this_thread::get_id());
}

TEST_F(NotificationThreadTest, WhatIsStuckKeepsNobodyElseWaiting) {
  NotificationThread names(context_.get_executor());
  NotificationThread attributes(context_.get_executor());
  std::promise<void> unlocked;
  auto stuck = names.add([locked = unlocked.get_future().share()] { locked.wait_for(60s); });
  wait_for({attributes.add([] {})});
  unlocked.set_value();
  // Two coroutines wait for the same notification.
  wait_for({stuck, stuck});
}

TEST_F(NotificationThreadTest, StartsAThreadWhenThereIsSomethingToTell) {
  const auto before = threads();
  NotificationThread thread(context_.get_executor());
  EXPECT_EQ(new_threads(before), 0u);
  thread.add([] {});
  thread.add([] {});
  EXPECT_EQ(new_threads(before), 1u);
}

TEST_F(NotificationThreadTest, TellsWhatIsQueuedBeforeItEnds) {
  int told = 0;
  {
    NotificationThread thread(context_.get_executor());
    for (int i = 0; i < 100; ++i) thread.add([&] { ++told; });
  }
  EXPECT_EQ(told, 100);
}

}  // namespace
}  // namespace foliofs::fuse
