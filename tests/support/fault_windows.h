// The windows of a race: what a test does when the core reaches a named point, and whether the core
// has reached it.
//
// A test whose window the core never enters has shown nothing, so its fixture checks
// never_entered() at the end and fails the test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "foliofs/base/fault_point.h"
#include "foliofs/base/wait_queue.h"

namespace foliofs::test {

inline const char* name_of(FaultPoint point) {
  switch (point) {
    case FaultPoint::kAfterSnapshot:
      return "after snapshot";
    case FaultPoint::kAfterSend:
      return "after send";
    case FaultPoint::kAfterAcknowledge:
      return "after acknowledgement";
    case FaultPoint::kWhileUnmapping:
      return "while unmapping";
    case FaultPoint::kBeforeErase:
      return "before erase";
    case FaultPoint::kAfterUnmap:
      return "after unmap";
    case FaultPoint::kAfterFill:
      return "after fill";
    case FaultPoint::kBeforeTruncate:
      return "before truncate";
    case FaultPoint::kBetweenRounds:
      return "between rounds";
  }
  return "unknown";
}

class FaultWindows final : public FaultPoints {
 public:
  // Runs `action`, a void() or a Task<void>(), once, when the core next reaches `point`; the core
  // waits there for its end. If several are armed for one point, each time runs the next of them.
  template <class Action>
  void at(FaultPoint point, Action action) {
    arm(point, /*once=*/true, as_task(std::move(action)));
  }

  // The same each time, except while `action` is running already.
  template <class Action>
  void at_each(FaultPoint point, Action action) {
    arm(point, /*once=*/false, as_task(std::move(action)));
  }

  // The coroutine that reaches `point` next waits there until go_on().
  void stop_at(FaultPoint point) {
    at(point, [this]() -> Task<void> {
      ++standing_;
      const std::uint64_t stops = stops_ended_;
      while (stops == stops_ended_) co_await stop_ended_.wait();
      --standing_;
    });
  }
  bool stopped() const { return standing_ > 0; }
  void go_on() {
    ++stops_ended_;
    stop_ended_.wake_all();
  }

  // Removes all windows and lets stopped coroutines go on; never_entered() is empty afterwards.
  void disarm() {
    windows_.clear();
    go_on();
  }

  // The names of the points whose windows were armed but not entered, for a message.
  std::string never_entered() const {
    std::string names;
    for (const auto& window : windows_) {
      if (window->entered) continue;
      if (!names.empty()) names += ", ";
      names += name_of(window->point);
    }
    return names;
  }

  Task<void> reach(FaultPoint point) override {
    for (const auto& armed : windows_) {
      if (armed->point != point || armed->running || (armed->once && armed->entered)) continue;
      auto window = armed;  // the action may arm others, or disarm
      window->entered = window->running = true;
      co_await window->action();
      window->running = false;
      co_return;
    }
  }

 private:
  struct Window {
    FaultPoint point;
    bool once;
    std::function<Task<void>()> action;
    bool entered = false;
    bool running = false;
  };

  template <class Action>
  static std::function<Task<void>()> as_task(Action action) {
    if constexpr (std::is_void_v<std::invoke_result_t<Action&>>) {
      return [action = std::move(action)]() mutable -> Task<void> {
        action();
        co_return;
      };
    } else {
      return action;
    }
  }

  void arm(FaultPoint point, bool once, std::function<Task<void>()> action) {
    windows_.push_back(std::make_shared<Window>(Window{point, once, std::move(action)}));
  }

  std::vector<std::shared_ptr<Window>> windows_;
  int standing_ = 0;
  std::uint64_t stops_ended_ = 0;
  WaitQueue stop_ended_;
};

}  // namespace foliofs::test
