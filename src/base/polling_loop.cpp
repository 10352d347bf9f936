#include "foliofs/base/polling_loop.h"

#include <sched.h>

#include "foliofs/base/poll_window.h"

namespace foliofs {

namespace {

using Micros = PollWindow::Micros;

Micros now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<Micros>(since);
}

// Handlers that may run before the source is looked at again. Some of them are long.
constexpr int kHandlersInOneTurn = 4;

// True when there was something.
bool look(boost::asio::io_context& context, PollSource* source) {
  if (source == nullptr) return context.poll() > 0;
  const bool found = source->look();
  int handlers = 0;
  while (handlers < kHandlersInOneTurn && context.poll_one() > 0) ++handlers;
  return found || handlers > 0;
}

// True when something was done within `window`.
bool poll_for(boost::asio::io_context& context, PollSource* source, PollWindow& window,
              Micros begin) {
  const Micros until = begin + window.window(begin);
  Micros time = begin;
  while (time < until && !context.stopped()) {
    ::sched_yield();
    const bool found = look(context, source);
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

void run_polling(boost::asio::io_context& context, std::chrono::microseconds poll,
                 PollSource* source) {
  PollWindow window(poll);
  while (!context.stopped()) {
    if (look(context, source)) continue;
    const Micros begin = now();
    if (poll_for(context, source, window, begin)) continue;
    if (source != nullptr) source->watch();
    const Micros asleep = now();
    if (context.run_one() == 0) return;
    window.slept(now() - asleep);
  }
}

}  // namespace foliofs
