// Clock: the time that the client's core sees, so that a simulation can own it.
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

// Runs `task` until it has ended or `limit` is over, whichever comes first. True: it has ended. If
// not, it goes on alone, so what it refers to must live as long as it does.
Task<bool> wait_at_most(Clock& clock, Duration limit, Task<void> task);

// The machine's own clocks. Sleeps on the executor of the coroutine that asks.
class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
  std::int64_t wall_ns() const override;
  Task<void> sleep(Duration duration) override;
};

}  // namespace foliofs
