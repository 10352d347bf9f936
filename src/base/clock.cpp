#include "foliofs/base/clock.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <memory>

#include "foliofs/base/wait_queue.h"

namespace foliofs {

TimePoint SystemClock::now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

std::int64_t SystemClock::wall_ns() const {
  auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count();
}

Task<void> SystemClock::sleep(Duration duration) {
  auto executor = co_await boost::asio::this_coro::executor;
  boost::asio::steady_timer timer(executor, duration);
  boost::system::error_code ignored;
  co_await timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
}

namespace {

struct Wait {
  bool ended = false;
  WaitQueue over;
};

Task<void> run(Task<void> task, std::shared_ptr<Wait> wait) {
  co_await std::move(task);
  wait->ended = true;
  wait->over.wake_all();
}

Task<void> give_up(Clock& clock, Duration limit, std::shared_ptr<Wait> wait) {
  co_await clock.sleep(limit);
  wait->over.wake_all();
}

}  // namespace

Task<bool> wait_at_most(Clock& clock, Duration limit, Task<void> task) {
  auto executor = co_await boost::asio::this_coro::executor;
  auto wait = std::make_shared<Wait>();
  spawn(executor, "bounded wait", run(std::move(task), wait));
  if (wait->ended) co_return true;  // it had nothing to wait for
  spawn(executor, "bound of a wait", give_up(clock, limit, wait));
  co_await wait->over.wait();
  co_return wait->ended;
}

}  // namespace foliofs
