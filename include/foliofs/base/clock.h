// Clock: where the client's core gets the time, so that a simulation can control it.
#pragma once

#include <chrono>
#include <cstdint>

#include "foliofs/base/task.h"

namespace foliofs {

using Duration = std::chrono::microseconds;
// Monotonic; its zero means nothing.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;

  virtual TimePoint now() const = 0;

  // Nanoseconds since the epoch, for the times of files.
  virtual std::int64_t wall_ns() const = 0;

  // Suspends the caller for at least `duration`. Cannot fail and cannot be cut short.
  virtual Task<void> sleep(Duration duration) = 0;
};

// Starts `task` and waits until it has ended or `limit` has passed. True: it has ended. Otherwise
// it goes on by itself, so what it refers to must live as long as the task.
Task<bool> wait_at_most(Clock& clock, Duration limit, Task<void> task);

// The system's clocks. sleep() uses the executor of the calling coroutine.
class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
  std::int64_t wall_ns() const override;
  Task<void> sleep(Duration duration) override;
};

}  // namespace foliofs
