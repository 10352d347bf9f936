// Runs an io_context, and polls for a short while before it sleeps.
//
// A sleeping thread costs a wake-up of tens of microseconds; a thread that looks again and again
// does not. So after something has happened the loop keeps looking for up to `poll`, yielding the
// core to others each time, and only then sleeps. While that does not pay (poll_window.h) it sleeps
// at once; an idle loop costs nothing.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>

namespace foliofs {

// Something beside the context that is cheaper to look at than to be told of by it.
class PollSource {
 public:
  virtual ~PollSource() = default;
  // Does what there is to do. True when there was something.
  virtual bool look() = 0;
  // Before the loop sleeps: lets the context wake it when there is something.
  virtual void watch() = 0;
};

// Returns when the context is stopped or out of work. `poll` 0: sleeps at once.
void run_polling(boost::asio::io_context& context, std::chrono::microseconds poll,
                 PollSource* source = nullptr);

}  // namespace foliofs
