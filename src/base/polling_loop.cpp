#include "foliofs/base/polling_loop.h"

#include <sched.h>

namespace foliofs {

namespace {

using Micros = PollWindow::Micros;

Micros now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<Micros>(since);
}

// True when something was done within `window`.
bool poll_for(boost::asio::io_context& context, PollWindow& window, Micros begin) {
  const Micros until = begin + window.window(begin);
  Micros time = begin;
  while (time < until && !context.stopped()) {
    ::sched_yield();
    const bool found = context.poll() > 0;
    time = now();
    if (found) {
      window.found(time, time - begin);
      return true;
    }
  }
  if (until > begin) window.in_vain(time, time - begin);
  return false;
}

}  // namespace

void run_polling(boost::asio::io_context& context, std::chrono::microseconds poll) {
  PollWindow window(poll);
  while (!context.stopped()) {
    if (context.poll() > 0) continue;
    const Micros begin = now();
    if (poll_for(context, window, begin)) continue;
    const Micros asleep = now();
    if (context.run_one() == 0) return;
    window.slept(now() - asleep);
  }
}

}  // namespace foliofs
