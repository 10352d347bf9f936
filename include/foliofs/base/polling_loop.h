// Runs an io_context, and polls for a short while before it sleeps.
//
// Waking a sleeping thread takes tens of microseconds; a thread that polls does not pay that. So
// after something has happened the loop polls for up to `poll`, yielding the core to others each
// time, and only then sleeps. While that does not pay (poll_window.h) it sleeps at once, so an idle
// loop costs nothing.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>

namespace foliofs {

// A source of events beside the context: polling it is cheaper than being told by the context.
class PollSource {
 public:
  virtual ~PollSource() = default;
  // Handles what there is to handle. True if there was something.
  virtual bool look() = 0;
  // Called before the loop sleeps: makes the context wake the loop when there is something.
  virtual void watch() = 0;
};

// Returns when the context is stopped or out of work. `poll` 0: sleeps at once.
void run_polling(boost::asio::io_context& context, std::chrono::microseconds poll,
                 PollSource* source = nullptr);

}  // namespace foliofs
