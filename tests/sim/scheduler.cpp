#include "tests/sim/scheduler.h"

namespace foliofs::sim {

namespace {

constexpr std::uint64_t kScheduleStream = 1;
// A sleeper that is due this soon may wake although continuations are ready, because a real machine
// can be that slow.
constexpr Duration kSlowness = std::chrono::milliseconds(20);

}  // namespace

Scheduler::Scheduler(std::uint64_t seed) : random_(seed, kScheduleStream) {
  constexpr std::uint64_t kWeights[] = {1, 4, 16, 64};
  for (std::uint64_t& weight : weights_) weight = kWeights[random_.below(std::size(kWeights))];
  in_order_ = random_.one_in(3);
}

Scheduler::~Scheduler() {
  for (auto& lane : ready_) lane.clear();
  shutdown();
  destroy();
}

Executor Scheduler::executor(Lane lane) {
  return LaneExecutor(*this, lane);
}

std::size_t Scheduler::pick_lane() {
  std::uint64_t total = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (!ready_[lane].empty()) total += weights_[lane];
  }
  std::uint64_t chosen = random_.below(total);
  for (std::size_t lane = 0;; ++lane) {
    if (ready_[lane].empty()) continue;
    if (chosen < weights_[lane]) return lane;
    chosen -= weights_[lane];
  }
}

bool Scheduler::step() {
  ++steps_;
  if (ready_count_ == 0) return clock_.advance();
  const auto next = clock_.next();
  if (next && *next <= clock_.now() + kSlowness && random_.one_in(128)) clock_.advance();
  auto& lane = ready_[pick_lane()];
  const std::size_t index = in_order_ ? 0 : random_.below(lane.size());
  auto continuation = std::move(lane[index]);
  lane.erase(lane.begin() + static_cast<std::ptrdiff_t>(index));
  --ready_count_;
  continuation->run();
  return true;
}

}  // namespace foliofs::sim
