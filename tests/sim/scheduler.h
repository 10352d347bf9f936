// Scheduler: runs the continuations of a whole world on one thread, in an order that a seed
// chooses, and in virtual time.
//
// Every continuation that is ready to run waits in the lane of the executor that it was posted to.
// The cores of the two clients, the server, and the programs above each client have lanes. A step
// picks a lane by weight, so that one side may be much slower than another, and then any
// continuation of that lane (or the oldest, in runs that keep the order of a real loop). Time
// passes when nothing is ready, and now and then a little before that.
#pragma once

#include <array>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <memory>
#include <vector>

#include "foliofs/base/task.h"
#include "tests/sim/random.h"
#include "tests/support/loop.h"

namespace foliofs::sim {

enum class Lane { kClientA, kClientB, kProgramsA, kProgramsB, kServer };
inline constexpr std::size_t kLanes = 5;

class Scheduler : public boost::asio::execution_context {
 public:
  explicit Scheduler(std::uint64_t seed);
  // Drops the continuations that are still ready, without running them.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  Executor executor(Lane lane);
  test::VirtualClock& clock() { return clock_; }
  const test::VirtualClock& clock() const { return clock_; }

  // Runs one continuation, or lets time pass until the next sleeper wakes. False when there is
  // neither.
  bool step();
  std::uint64_t steps() const { return steps_; }

 private:
  struct Continuation {
    virtual ~Continuation() = default;
    virtual void run() = 0;
  };
  template <class Function>
  struct ContinuationOf final : Continuation {
    explicit ContinuationOf(Function f) : function(std::move(f)) {}
    void run() override { std::move(function)(); }
    Function function;
  };

  // What Asio requires of an executor that any_io_executor can hold and that never runs anything
  // inside execute().
  class LaneExecutor {
   public:
    LaneExecutor(Scheduler& scheduler, Lane lane) : scheduler_(&scheduler), lane_(lane) {}
    boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept {
      return *scheduler_;
    }
    static constexpr boost::asio::execution::blocking_t query(
        boost::asio::execution::blocking_t) noexcept {
      return boost::asio::execution::blocking.never;
    }
    friend bool operator==(const LaneExecutor&, const LaneExecutor&) noexcept = default;
    template <class Function>
    void execute(Function function) const {
      scheduler_->ready_[static_cast<std::size_t>(lane_)].push_back(
          std::make_unique<ContinuationOf<Function>>(std::move(function)));
      ++scheduler_->ready_count_;
    }

   private:
    Scheduler* scheduler_;
    Lane lane_;
  };

  std::size_t pick_lane();

  Random random_;
  test::VirtualClock clock_;
  std::array<std::vector<std::unique_ptr<Continuation>>, kLanes> ready_;
  std::array<std::uint64_t, kLanes> weights_{};
  std::size_t ready_count_ = 0;
  bool in_order_ = false;
  std::uint64_t steps_ = 0;
};

}  // namespace foliofs::sim
