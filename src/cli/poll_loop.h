// The loop of the daemon: an io_context that is polled for a while before it sleeps.
//
// Waking a sleeping thread costs more than most of our requests. So after each piece of work the
// loop looks for more for up to a window of time, and lets other threads have the core in between.
// The window shrinks when nothing comes and grows when something came just after the loop went to
// sleep; an idle mount sleeps.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>

namespace foliofs::cli {

// Runs `io` until it is stopped or has nothing left to wait for. `longest` is asked for the largest
// window before each wait; 0 means never poll.
void run_polling(boost::asio::io_context& io,
                 const std::function<std::chrono::microseconds()>& longest);

}  // namespace foliofs::cli
