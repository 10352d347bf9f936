#include "server/loop.h"

#include "foliofs/base/polling_loop.h"

namespace foliofs::server {

Loop::Loop(std::chrono::microseconds poll) : work_(context_.get_executor()), poll_(poll) {}

void Loop::start() {
  thread_ = std::thread([this] { run_polling(context_, poll_); });
}

void Loop::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace foliofs::server
