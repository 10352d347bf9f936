#include "poll_loop.h"

#include <sched.h>

#include <algorithm>

namespace foliofs::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr microseconds kSmallestWindow{4};

// True when there was something to do before `window` was over.
bool poll_for_work(boost::asio::io_context& io, microseconds window) {
  const auto end = Clock::now() + window;
  while (Clock::now() < end) {
    if (io.poll() > 0) return true;
    if (io.stopped()) return false;
    ::sched_yield();
  }
  return false;
}

}  // namespace

void run_polling(boost::asio::io_context& io, const std::function<microseconds()>& longest) {
  microseconds window = longest();
  while (!io.stopped()) {
    const microseconds most = longest();
    window = std::min(window, most);
    if (window > kSmallestWindow && poll_for_work(io, window)) {
      window = std::min(window * 2, most);
      continue;
    }
    const auto asleep = Clock::now();
    if (io.run_one() == 0) return;
    const bool woken_soon = Clock::now() - asleep < most;
    window = woken_soon ? std::clamp(window * 2, microseconds(2 * kSmallestWindow), most)
                        : window / 2;
  }
}

}  // namespace foliofs::cli
