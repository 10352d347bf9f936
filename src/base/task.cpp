#include "foliofs/base/task.h"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <cstdlib>
#include <exception>
#include <string>

#include "foliofs/base/log.h"

namespace foliofs {

void spawn(const Executor& executor, std::string_view name, Task<void> task) {
  boost::asio::co_spawn(executor, std::move(task), [name](const std::exception_ptr& escaped) {
    if (!escaped) return;
    try {
      std::rethrow_exception(escaped);
    } catch (const std::exception& error) {
      log_line(spdlog::level::critical, "{}: exception escaped: {}", name, error.what());
    } catch (...) {
      log_line(spdlog::level::critical, "{}: unknown exception escaped", name);
    }
    spdlog::shutdown();
    std::abort();
  });
}

}  // namespace foliofs
