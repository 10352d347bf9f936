#include "foliofs/base/polling_loop.h"

#include <sched.h>

#include <algorithm>

namespace foliofs {

namespace {

using SteadyClock = std::chrono::steady_clock;

// True when something became ready within `budget`.
bool poll_for(boost::asio::io_context& context, std::chrono::microseconds budget) {
  const auto deadline = SteadyClock::now() + budget;
  do {
    if (context.poll() > 0) return true;
    if (context.stopped()) return true;
    ::sched_yield();
  } while (SteadyClock::now() < deadline);
  return false;
}

}  // namespace

void run_polling(boost::asio::io_context& context, std::chrono::microseconds poll) {
  if (poll.count() == 0) {
    context.run();
    return;
  }
  const std::chrono::microseconds least = std::max(poll / 32, std::chrono::microseconds(1));
  std::chrono::microseconds budget = poll;
  while (!context.stopped()) {
    if (poll_for(context, budget)) {
      budget = std::min(poll, budget * 2);
      continue;
    }
    budget = std::max(least, budget / 2);
    context.run_one();
  }
}

}  // namespace foliofs
