// PollWindow: decides how long a loop polls before it sleeps, from how its earlier polls went. It
// reads no clock, so that it can be tested without one.
#pragma once

#include <algorithm>
#include <chrono>
#include <utility>

namespace foliofs {

class PollWindow {
 public:
  using Micros = std::chrono::microseconds;

  // After so many polls in vain in a row the loop does not poll until a poll would have paid.
  static constexpr int kMostInVain = 8;
  // A yield that returns only after kCrowded means that other threads want this core, and the
  // scheduler favours threads that wake up over those that yield. Two such yields within kSoon stop
  // polling for kShortestPause. A single one does not, because a pause costs more than that yield
  // did. If polling is stopped again within the length of a pause after its end, the next pause is
  // twice as long, up to kLongestPause.
  static constexpr Micros kCrowded{1000};
  static constexpr Micros kSoon{20'000};
  static constexpr Micros kShortestPause{50'000};
  static constexpr Micros kLongestPause{2'000'000};

  explicit PollWindow(Micros longest) : longest_(longest) {}

  // How long to poll now. `now` may come from any clock.
  Micros window(Micros now) const {
    return in_vain_ < kMostInVain && now >= crowded_until_ ? longest_ : Micros(0);
  }
  // A poll found something after `elapsed`.
  void found(Micros now, Micros elapsed) {
    if (elapsed <= longest_) in_vain_ = 0;
    note(now, elapsed);
  }
  // A poll found nothing for `elapsed`.
  void in_vain(Micros now, Micros elapsed) {
    if (in_vain_ < kMostInVain) ++in_vain_;
    note(now, elapsed);
  }
  // Something woke the loop after it had slept for `sleep`.
  void slept(Micros sleep) {
    if (sleep <= longest_) in_vain_ = 0;
  }

 private:
  void note(Micros now, Micros elapsed) {
    if (elapsed <= longest_ + kCrowded) return;
    const Micros last = std::exchange(crowded_at_, now);
    if (now > last + kSoon) return;
    pause_ = now < calm_at_ ? std::min(pause_ * 2, kLongestPause) : kShortestPause;
    crowded_until_ = now + pause_;
    calm_at_ = crowded_until_ + pause_;
  }

  const Micros longest_;
  int in_vain_ = 0;
  Micros crowded_at_{-2 * kSoon};
  Micros pause_{0};
  Micros crowded_until_{0};
  Micros calm_at_{0};
};

}  // namespace foliofs
