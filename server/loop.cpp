#include "server/loop.h"

#include <sched.h>

namespace foliofs::server {

using Clock = std::chrono::steady_clock;

Loop::Loop(std::chrono::microseconds poll) : work_(context_.get_executor()), window_(poll) {}

void Loop::start() {
  thread_ = std::thread([this] { run(); });
}

void Loop::join() {
  if (thread_.joinable()) thread_.join();
}

bool Loop::poll_for(std::chrono::microseconds window) {
  if (window.count() == 0) return false;
  const auto until = Clock::now() + window;
  do {
    if (context_.poll() > 0) return true;
    ::sched_yield();
  } while (Clock::now() < until && !context_.stopped());
  return false;
}

void Loop::run() {
  while (!context_.stopped()) {
    if (context_.poll() > 0) continue;
    if (poll_for(window_.window())) {
      window_.paid();
      continue;
    }
    const auto asleep = Clock::now();
    if (context_.run_one() == 0) break;
    window_.slept(std::chrono::duration_cast<PollWindow::Micros>(Clock::now() - asleep));
  }
}

}  // namespace foliofs::server
