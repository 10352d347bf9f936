// WaitQueue: where coroutines of one loop sleep until a state they depend on has changed.
//
// It carries no state of its own: the waiter checks its condition, waits, and checks again. A wake
// resumes the waiter through its executor, never inside wake_*(), so a caller may go on changing
// state after it. Single-threaded: all use is on the loop that owns the queue.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include "foliofs/base/task.h"

namespace foliofs {

class WaitQueue {
 public:
  WaitQueue() = default;
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  // Suspends until woken. The queue must outlive the wait.
  Task<void> wait() {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
        [this](auto handler) {
          using Handler = decltype(handler);
          waiters_.push_back(std::make_unique<WaiterOf<Handler>>(std::move(handler)));
        },
        boost::asio::use_awaitable);
  }

  void wake_all() {
    auto woken = std::exchange(waiters_, {});
    for (auto& waiter : woken) waiter->resume();
  }

  // Wakes the one that has waited longest.
  void wake_one() {
    if (waiters_.empty()) return;
    auto waiter = std::move(waiters_.front());
    waiters_.pop_front();
    waiter->resume();
  }

  bool empty() const { return waiters_.empty(); }
  std::size_t size() const { return waiters_.size(); }

 private:
  struct Waiter {
    virtual ~Waiter() = default;
    virtual void resume() = 0;
  };

  template <class Handler>
  struct WaiterOf final : Waiter {
    explicit WaiterOf(Handler&& handler) : handler_(std::move(handler)) {}
    void resume() override {
      auto executor = boost::asio::get_associated_executor(handler_);
      boost::asio::post(executor, std::move(handler_));
    }
    Handler handler_;
  };

  std::deque<std::unique_ptr<Waiter>> waiters_;
};

}  // namespace foliofs
