// NotificationThread: sends notifications to the kernel one after the other. It has a thread of its
// own because the kernel may block the thread that sends one.
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

// A notification for the kernel, and the coroutines that wait until it has been sent.
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

// Used on the loop of `executor`, which also resumes the waiters.
class NotificationThread {
 public:
  explicit NotificationThread(Executor executor) : executor_(std::move(executor)) {}
  // Sends what is queued and waits for the thread. The kernel must have let go of the mount;
  // otherwise the thread may be stuck in the kernel.
  ~NotificationThread();
  NotificationThread(const NotificationThread&) = delete;
  NotificationThread& operator=(const NotificationThread&) = delete;

  // Queues `tell` for the thread to call. The first call starts the thread.
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
