#include "notifier.h"

#include <fuse_lowlevel.h>

#include <boost/asio/post.hpp>
#include <csignal>

namespace foliofs::fuse {

Notifier::Notifier(fuse_session* session, Executor executor)
    : session_(session), executor_(std::move(executor)), thread_([this] { run(); }) {}

Notifier::~Notifier() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  added_.notify_one();
  thread_.join();
}

Task<void> Notifier::invalidate_pages(std::uint64_t node, ByteRange range) {
  std::shared_ptr<Notification> notification;
  {
    std::lock_guard lock(mutex_);
    for (const auto& queued : queue_) {
      if (queued->node == node && !queued->last) notification = queued;
    }
    if (notification) {
      notification->range.begin = std::min(notification->range.begin, range.begin);
      notification->range.end = std::max(notification->range.end, range.end);
    } else {
      notification = std::make_shared<Notification>();
      notification->node = node;
      notification->range = range;
      queue_.push_back(notification);
    }
  }
  added_.notify_one();
  while (!notification->done) co_await notification->waiters.wait();
}

Task<void> Notifier::extend(std::uint64_t node, std::uint64_t size, std::byte last) {
  auto notification = std::make_shared<Notification>();
  notification->node = node;
  notification->range = {size - 1, size};
  notification->last = last;
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(notification);
  }
  added_.notify_one();
  while (!notification->done) co_await notification->waiters.wait();
}

// Errors: the node is not known to the kernel, or the mount is gone; in both cases there are no
// pages.
void Notifier::send(const Notification& notification, ByteRange range) {
  const auto offset = static_cast<off_t>(range.begin);
  if (notification.last) {
    std::byte last = *notification.last;
    fuse_bufvec data = FUSE_BUFVEC_INIT(1);
    data.buf[0].mem = &last;
    fuse_lowlevel_notify_store(session_, notification.node, offset, &data, FUSE_BUF_NO_SPLICE);
    return;
  }
  // A length of 0 means "to the end".
  const bool to_end = range.end == ByteRange::kNoEnd;
  fuse_lowlevel_notify_inval_inode(session_, notification.node, offset,
                                   to_end ? 0 : static_cast<off_t>(range.size()));
}

void Notifier::run() {
  // Signals are the loop's business.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);

  std::unique_lock lock(mutex_);
  for (;;) {
    added_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto notification = std::move(queue_.front());
    queue_.pop_front();
    const ByteRange range = notification->range;
    lock.unlock();
    send(*notification, range);
    boost::asio::post(executor_, [notification = std::move(notification)] {
      notification->done = true;
      notification->waiters.wake_all();
    });
    lock.lock();
  }
}

}  // namespace foliofs::fuse
