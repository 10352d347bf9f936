// Runs an io_context, and polls for a short while before it sleeps.
//
// A sleeping thread costs a wake-up of tens of microseconds; a thread that looks again and again
// does not. So after something has happened the loop keeps looking for up to `poll`, yielding the
// core to others each time, and only then sleeps. When looking has not paid for a while the time
// shrinks, and when it pays it grows back. An idle loop sleeps and costs nothing.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>

namespace foliofs {

// Returns when the context is stopped or out of work. `poll` 0: sleeps at once.
void run_polling(boost::asio::io_context& context, std::chrono::microseconds poll);

}  // namespace foliofs
