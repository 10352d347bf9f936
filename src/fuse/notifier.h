// Notifier: tells the kernel to drop pages, and of a new end of a file, on a thread of its own.
//
// A notification blocks while the kernel waits for pages that are locked by READs in flight, or
// writes dirty mapped pages back to us. So it must never run on the loop that answers those
// (docs/ARCHITECTURE.md). Ranges of one node that wait in the queue are merged.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "foliofs/base/byte_range.h"
#include "foliofs/base/task.h"
#include "foliofs/base/wait_queue.h"

struct fuse_session;

namespace foliofs::fuse {

class Notifier {
 public:
  // `session` must outlive the notifier; waiters are resumed on `executor`.
  Notifier(fuse_session* session, Executor executor);
  // The kernel must have let go of the mount, or the thread may be stuck in a notification.
  ~Notifier();

  Task<void> invalidate_pages(std::uint64_t node, ByteRange range);

  // Stores the last byte of a file that has `size` bytes into the kernel's page, if that makes the
  // file longer there; else only the byte. The kernel has no other notification of a size: one that
  // comes as an attribute is ignored while pages are being dropped.
  Task<void> extend(std::uint64_t node, std::uint64_t size, std::byte last);

 private:
  struct Notification {
    std::uint64_t node = 0;
    ByteRange range;                // to be dropped; or the one byte to be stored
    std::optional<std::byte> last;  // that byte
    bool done = false;              // set and read on the loop
    WaitQueue waiters;
  };

  void run();
  void send(const Notification& notification, ByteRange range);

  fuse_session* const session_;
  const Executor executor_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::shared_ptr<Notification>> queue_;  // protected by mutex_
  bool stopping_ = false;                            // protected by mutex_
  std::thread thread_;
};

}  // namespace foliofs::fuse
