#include "alarm.h"

#include <algorithm>
#include <utility>

namespace foliofs::rpc {

void Alarm::set(Duration delay, std::function<void()> ring) {
  cancel();
  pending_ = std::make_shared<Pending>(Pending{this, std::move(ring)});
  spawn(executor_, "rpc alarm", sleep_then_ring(pending_, delay));
}

void Alarm::cancel() {
  if (pending_ == nullptr) return;
  pending_->alarm = nullptr;
  pending_->ring = nullptr;
  pending_.reset();
}

Task<void> Alarm::sleep_then_ring(std::shared_ptr<Pending> pending, Duration delay) {
  while (pending->alarm != nullptr && delay > Duration::zero()) {
    const Duration slice = std::min(delay, kAlarmSlice);
    delay -= slice;
    co_await pending->alarm->clock_.sleep(slice);
  }
  if (pending->alarm == nullptr) co_return;
  auto ring = std::move(pending->ring);
  std::exchange(pending->alarm, nullptr)->pending_.reset();
  ring();
}

}  // namespace foliofs::rpc
