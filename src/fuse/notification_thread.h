// NotificationThread: tells the kernel things one after the other, on a thread of its own, because
// the kernel may keep whoever tells it waiting.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "foliofs/base/task.h"
#include "foliofs/base/wait_queue.h"

namespace foliofs::fuse {

// Something that the kernel is to be told, and who waits until it has been.
class Notification {
 public:
  explicit Notification(std::function<void()> tell) : tell_(std::move(tell)) {}

 private:
  friend class NotificationThread;

  std::function<void()> tell_;
  bool told_ = false;  // set and read on the loop
  WaitQueue waiters_;
};

using NotificationRef = std::shared_ptr<Notification>;

// Used on the loop of `executor`, where those who wait are resumed.
class NotificationThread {
 public:
  explicit NotificationThread(Executor executor) : executor_(std::move(executor)) {}
  // Tells what is queued first. The kernel must have let go of the mount, or the thread may be
  // stuck.
  ~NotificationThread();
  NotificationThread(const NotificationThread&) = delete;
  NotificationThread& operator=(const NotificationThread&) = delete;

  // Calls `tell`, on the thread, which the first one starts.
  NotificationRef add(std::function<void()> tell);

  static Task<void> wait(NotificationRef notification);

 private:
  void run();

  const Executor executor_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<NotificationRef> queue_;  // protected by mutex_
  bool stopping_ = false;              // protected by mutex_
  std::thread thread_;
};

}  // namespace foliofs::fuse
