#include "foliofs/base/polling_loop.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <thread>

#include "foliofs/base/poll_window.h"

namespace foliofs {
namespace {

using Micros = PollWindow::Micros;

constexpr Micros kMost{200};
constexpr Micros kShort{20};
constexpr Micros kLong{1'000'000};

TEST(PollWindowTest, StopsWhileItDoesNotPay) {
  PollWindow window(kMost);
  for (int i = 0; i < PollWindow::kMostInVain; ++i) {
    EXPECT_EQ(window.window(Micros(0)), kMost);
    window.in_vain(Micros(0), kMost);
    window.slept(kLong);
  }
  EXPECT_EQ(window.window(Micros(0)), Micros(0)) << "an idle loop does not poll";
}

TEST(PollWindowTest, BeginsAgainWhenItWouldHavePaid) {
  PollWindow window(kMost);
  for (int i = 0; i < PollWindow::kMostInVain; ++i) window.in_vain(Micros(0), kMost);
  window.slept(kShort);
  EXPECT_EQ(window.window(Micros(0)), kMost);
}

TEST(PollWindowTest, OnePollThatPaysOutweighsThoseThatDidNot) {
  PollWindow window(kMost);
  for (int i = 1; i < PollWindow::kMostInVain; ++i) window.in_vain(Micros(0), kMost);
  window.found(Micros(0), kShort);
  window.in_vain(Micros(0), kMost);
  EXPECT_EQ(window.window(Micros(0)), kMost);
}

constexpr Micros kLate = kMost + PollWindow::kCrowded + Micros(1);

TEST(PollWindowTest, PausesWhereOthersWantTheCore) {
  PollWindow window(kMost);
  window.found(kLate, kLate);
  EXPECT_EQ(window.window(kLate), kMost) << "once is no crowd";
  window.in_vain(2 * kLate, kLate);
  EXPECT_EQ(window.window(2 * kLate), Micros(0));
  EXPECT_EQ(window.window(2 * kLate + PollWindow::kShortestPause), kMost);
}

TEST(PollWindowTest, DoesNotPauseForWhatIsRare) {
  PollWindow window(kMost);
  for (Micros now{0}; now < 100 * PollWindow::kSoon; now += PollWindow::kSoon + Micros(1)) {
    window.found(now, kLate);
    EXPECT_EQ(window.window(now), kMost);
  }
}

TEST(PollWindowTest, PausesLongerWhileOthersGoOnWantingIt) {
  PollWindow window(kMost);
  Micros now(0), pause = PollWindow::kShortestPause;
  for (int i = 0; i < 10; ++i) {
    for (int twice = 0; twice < 2; ++twice) window.found(now, kLate);
    EXPECT_EQ(window.window(now + pause - Micros(1)), Micros(0));
    EXPECT_EQ(window.window(now + pause), kMost);
    now += pause;
    pause = std::min(pause * 2, PollWindow::kLongestPause);
  }
  now += 2 * PollWindow::kLongestPause;
  for (int twice = 0; twice < 2; ++twice) window.found(now, kLate);
  EXPECT_EQ(window.window(now + PollWindow::kShortestPause), kMost);
}

TEST(PollWindowTest, NeverPollsWithoutTime) {
  PollWindow window(Micros(0));
  window.slept(Micros(0));
  EXPECT_EQ(window.window(Micros(0)), Micros(0));
}

class RunPollingTest : public testing::TestWithParam<Micros> {};

TEST_P(RunPollingTest, DoesWhatIsPostedAndEndsWhenStopped) {
  boost::asio::io_context context;
  auto work = boost::asio::make_work_guard(context);
  int done = 0;
  std::thread loop([&] { run_polling(context, GetParam()); });
  for (int i = 0; i < 100; ++i) boost::asio::post(context, [&] { ++done; });
  boost::asio::post(context, [&] { context.stop(); });
  loop.join();
  EXPECT_EQ(done, 100);
}

// Finds work `left` times when it looks, and counts how often it is asked to watch.
struct CountingSource final : PollSource {
  int left = 0, looked = 0, watched = 0;
  bool look() override {
    ++looked;
    return left > 0 && left-- > 0;
  }
  void watch() override { ++watched; }
};

TEST_P(RunPollingTest, LooksAtTheSourceBetweenHandlersThatNeverEnd) {
  boost::asio::io_context context;
  CountingSource source;
  std::function<void()> again = [&] {
    if (source.looked < 10) boost::asio::post(context, again);
  };
  boost::asio::post(context, again);
  run_polling(context, GetParam(), &source);
  EXPECT_GE(source.looked, 10);
}

TEST_P(RunPollingTest, DoesAllThatTheSourceHasAndWatchesItBeforeItSleeps) {
  boost::asio::io_context context;
  CountingSource source;
  source.left = 100;
  boost::asio::steady_timer timer(context, std::chrono::milliseconds(20));
  timer.async_wait([&](boost::system::error_code) {});
  run_polling(context, GetParam(), &source);
  EXPECT_EQ(source.left, 0);
  EXPECT_GE(source.watched, 1);
}

TEST_P(RunPollingTest, EndsWhenOutOfWork) {
  boost::asio::io_context context;
  bool done = false;
  boost::asio::post(context, [&] { done = true; });
  run_polling(context, GetParam());
  EXPECT_TRUE(done);
}

INSTANTIATE_TEST_SUITE_P(Poll, RunPollingTest, testing::Values(Micros(0), kMost));

}  // namespace
}  // namespace foliofs
