// Loop: an io_context on its own thread, which polls for a short while before it sleeps.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <thread>

namespace foliofs::server {

class Loop {
 public:
  explicit Loop(std::chrono::microseconds poll);
  // REQUIRES: join() has returned, or start() was never called.
  ~Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  boost::asio::io_context& context() { return context_; }
  boost::asio::io_context::executor_type executor() { return context_.get_executor(); }

  void start();
  // Lets the loop end once it has no work left; join() waits for that.
  void finish() { work_.reset(); }
  void join();

 private:
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  const std::chrono::microseconds poll_;
  std::thread thread_;
};

}  // namespace foliofs::server
