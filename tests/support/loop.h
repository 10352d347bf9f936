// A loop with virtual time, for tests of code that runs on a loop: it runs everything that is
// ready, and when nothing is, time jumps to the next sleeper. A test never waits in real time.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <map>
#include <optional>
#include <stdexcept>

#include "foliofs/base/clock.h"
#include "foliofs/base/wait_queue.h"

namespace foliofs::test {

class VirtualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  std::int64_t wall_ns() const override {
    return 1'700'000'000'000'000'000 + now_.time_since_epoch().count() * 1000;
  }
  Task<void> sleep(Duration duration) override {
    WaitQueue& queue = sleepers_[now_ + duration];
    co_await queue.wait();
  }

  // When the first sleeper wakes.
  std::optional<TimePoint> next() const {
    if (sleepers_.empty()) return std::nullopt;
    return sleepers_.begin()->first;
  }

  bool advance() {
    if (sleepers_.empty()) return false;
    auto first = sleepers_.begin();
    now_ = std::max(now_, first->first);
    first->second.wake_all();
    sleepers_.erase(first);
    return true;
  }

 private:
  TimePoint now_{};
  std::map<TimePoint, WaitQueue> sleepers_;
};

class Loop {
 public:
  boost::asio::io_context context{1};
  VirtualClock clock;

  Executor executor() { return context.get_executor(); }

  // Runs everything that is ready; no time passes.
  void settle() {
    context.restart();
    context.poll();
  }

  // Runs `task` to its end; time passes when nothing is ready. Throws if the task cannot end.
  template <class T>
  T run(Task<T> task) {
    auto result = start(std::move(task));
    finish([&] { return result->has_value(); });
    return std::move(**result);
  }
  void run(Task<void> task) { run(finished(std::move(task))); }

  // Starts `task`; the optional has its result once it has ended.
  template <class T>
  std::shared_ptr<std::optional<T>> start(Task<T> task) {
    auto result = std::make_shared<std::optional<T>>();
    boost::asio::co_spawn(context, keep(std::move(task), result), [](std::exception_ptr escaped) {
      if (escaped) std::rethrow_exception(escaped);
    });
    settle();
    return result;
  }

  void finish(const std::function<bool()>& done) {
    for (int steps = 0; !done(); ++steps) {
      settle();
      if (done()) return;
      if (steps > 100000 || !clock.advance()) throw std::runtime_error("the task cannot end");
    }
  }

 private:
  template <class T>
  static Task<void> keep(Task<T> task, std::shared_ptr<std::optional<T>> result) {
    result->emplace(co_await std::move(task));
  }
  static Task<bool> finished(Task<void> task) {
    co_await std::move(task);
    co_return true;
  }
};

}  // namespace foliofs::test
