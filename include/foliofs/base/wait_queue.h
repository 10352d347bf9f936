// WaitQueue: where coroutines of one loop sleep until a state they depend on has changed.
//
// It carries no state of its own: the waiter checks its condition, waits, and checks again. A wake
// resumes the waiter through its executor, never inside wake_*(), so a caller may go on changing
// state after it. Single-threaded: all use is on the loop that owns the queue.
//
// A queue is only three words, because each inode has several.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <memory>
#include <utility>

#include "foliofs/base/task.h"

namespace foliofs {

class WaitQueue {
 public:
  WaitQueue() = default;
  // Destroys the coroutines that wait, without resuming them.
  ~WaitQueue() {
    while (!empty()) take_first();
  }
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  // Suspends until woken. The queue must outlive the wait.
  Task<void> wait() {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
        [this](auto handler) {
          using Handler = decltype(handler);
          append(new WaiterOf<Handler>(std::move(handler)));
        },
        boost::asio::use_awaitable);
  }

  void wake_all() {
    // Coroutines that begin to wait meanwhile are not woken.
    for (std::size_t waiting = size_; waiting > 0; --waiting) take_first()->resume();
  }

  // Wakes the one that has waited longest.
  void wake_one() {
    if (!empty()) take_first()->resume();
  }

  bool empty() const { return size_ == 0; }

 private:
  struct Waiter {
    virtual ~Waiter() = default;
    virtual void resume() = 0;
    Waiter* next = nullptr;
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

  void append(Waiter* waiter) {
    (first_ == nullptr ? first_ : last_->next) = waiter;
    last_ = waiter;
    ++size_;
  }

  std::unique_ptr<Waiter> take_first() {
    std::unique_ptr<Waiter> waiter(first_);
    first_ = waiter->next;
    --size_;
    return waiter;
  }

  Waiter* first_ = nullptr;  // owned, with those that follow it
  Waiter* last_ = nullptr;   // valid while there is a first
  std::size_t size_ = 0;
};

}  // namespace foliofs
