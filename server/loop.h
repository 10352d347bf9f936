// Loop: an io_context on a thread of its own, which polls for a short while before it sleeps.
//
// A sleeping round trip costs several times a polled one. The time to poll adapts: it grows while
// what came would have come within it, shrinks while it did not pay, and each turn yields the core.
// An idle loop sleeps and costs nothing.
#pragma once

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <thread>

namespace foliofs::server {

// How long to poll, from how it went. Pure, so that it can be tested without a clock.
class PollWindow {
 public:
  using Micros = std::chrono::microseconds;

  explicit PollWindow(Micros most) : most_(most), window_(most) {}

  Micros window() const { return window_; }
  // Something came while polling.
  void paid() { window_ = most_; }
  // Nothing came while polling; the sleep after it lasted so long.
  void slept(Micros sleep) {
    if (sleep <= most_) {
      window_ = std::min(most_, std::max(window_ * 2, Micros(1)));
    } else {
      window_ /= 2;
    }
  }

 private:
  const Micros most_;
  Micros window_;
};

class Loop {
 public:
  explicit Loop(std::chrono::microseconds poll);
  // REQUIRES: stopped, or never started.
  ~Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  boost::asio::io_context& context() { return context_; }
  boost::asio::io_context::executor_type executor() { return context_.get_executor(); }

  void start();
  // Lets the loop end once it has no work left; `join` waits for that.
  void finish() { work_.reset(); }
  // Ends it at once, whatever is left.
  void stop() { context_.stop(); }
  void join();

 private:
  void run();
  // Polls for the window. True when something was done.
  bool poll_for(std::chrono::microseconds window);

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  PollWindow window_;
  std::thread thread_;
};

}  // namespace foliofs::server
