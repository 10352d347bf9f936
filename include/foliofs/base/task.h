// Task<T>: a coroutine on the loop that owns it. spawn() starts a detached one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string_view>

namespace foliofs {

template <class T>
using Task = boost::asio::awaitable<T>;

using Executor = boost::asio::any_io_executor;

// Starts `task` on `executor` and detaches it. Whatever the task refers to must outlive it. An
// exception that escapes is a bug or an exhausted allocator. It is logged with `name`, and the
// process ends, because the state that the task owned is unknown from then on.
void spawn(const Executor& executor, std::string_view name, Task<void> task);

}  // namespace foliofs
