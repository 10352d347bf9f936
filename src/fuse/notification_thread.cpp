#include "notification_thread.h"

#include <boost/asio/post.hpp>
#include <csignal>

namespace foliofs::fuse {

NotificationThread::~NotificationThread() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  added_.notify_one();
  thread_.join();
}

NotificationRef NotificationThread::add(std::function<void()> tell) {
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  auto notification = std::make_shared<Notification>(std::move(tell));
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(notification);
  }
  added_.notify_one();
  return notification;
}

Task<void> NotificationThread::wait(NotificationRef notification) {
  while (!notification->told_) co_await notification->waiters_.wait();
}

void NotificationThread::run() {
  // Signals are for the loop's thread.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);

  std::unique_lock lock(mutex_);
  for (;;) {
    added_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto notification = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    notification->tell_();
    boost::asio::post(executor_, [notification = std::move(notification)] {
      notification->told_ = true;
      notification->waiters_.wake_all();
    });
    lock.lock();
  }
}

}  // namespace foliofs::fuse
