// Alarm: calls back once after some time, unless it is cancelled or set again before.
//
// Clock::sleep cannot be interrupted, so the sleeping coroutine shares with the alarm only a small
// state that says whether the alarm is still wanted. It sleeps in slices, so that a loop that is to
// run out of work waits for a cancelled alarm no longer than kAlarmSlice.
#pragma once

#include <functional>
#include <memory>

#include "foliofs/base/clock.h"
#include "foliofs/base/task.h"

namespace foliofs::rpc {

inline constexpr Duration kAlarmSlice = std::chrono::seconds(1);

class Alarm {
 public:
  // `clock` must outlive every alarm that is set.
  Alarm(Executor executor, Clock& clock) : executor_(std::move(executor)), clock_(clock) {}
  ~Alarm() { cancel(); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  // Calls `ring` on the executor after `delay`, unless the alarm is cancelled, set again or
  // destroyed before. `ring` may set the alarm again.
  void set(Duration delay, std::function<void()> ring);
  void cancel();
  // True from set() until cancel(), or until just before `ring` is called.
  bool is_set() const { return pending_ != nullptr; }

 private:
  struct Pending {
    Alarm* alarm;  // nullptr once cancelled; otherwise the alarm and its clock still exist
    std::function<void()> ring;
  };
  static Task<void> sleep_then_ring(std::shared_ptr<Pending> pending, Duration delay);

  Executor executor_;
  Clock& clock_;
  std::shared_ptr<Pending> pending_;
};

}  // namespace foliofs::rpc
