// DiskWatch: notices that another process of this machine changes something in an export's tree on
// the disk itself, past the server.
//
// Tells only that there was a change, not where. What machines other than this one change on the
// filesystem (FileStore::remote()) cannot be seen, nor can:
//   - a store through a shared mapping, asynchronous I/O (io_submit) or a loop device, before the
//     file is closed and no longer mapped;
//   - a change of a file of the tree through another name that it has outside;
//   - a change of a file of the tree that was moved out of it and is still open;
//   - what is done with the filesystem below another one (the layers of an overlay).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "foliofs/base/result.h"
#include "foliofs/base/unique_fd.h"
#include "server/disk_tree.h"

namespace foliofs::server {

class DiskWatch {
 public:
  // Watches the tree below the directory that `root` refers to (any descriptor will do; borrowed
  // during the call). The filesystem stays in use while the watch lives.
  //
  // Calls `changed` on the watch's own thread, with all signals blocked, when a process other than
  // this one has changed content, attributes, xattrs or names: soon after the change, but not
  // within 100 ms of the last call; a change in that time is told at its end. It may also be called
  // when there was none: when the kernel has lost events, or it cannot be told where one was. Must
  // not throw and not destroy the watch.
  //
  // The thread keeps the credentials of the one that calls. EPERM without CAP_SYS_ADMIN and
  // CAP_DAC_READ_SEARCH; EOPNOTSUPP, ENODEV, EXDEV where the filesystem cannot be watched; EMFILE
  // when the user watches too much already.
  static Result<std::unique_ptr<DiskWatch>> start(int root, std::function<void()> changed);

  // Ends the thread; `changed` is not called any more. As bounded as that is.
  ~DiskWatch();

  DiskWatch(const DiskWatch&) = delete;
  DiskWatch& operator=(const DiskWatch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;

  DiskWatch(DiskTree tree, UniqueFd events, UniqueFd stop, std::function<void()> changed);

  void run();
  bool wait();
  bool is_asked_to_stop(std::chrono::milliseconds within) const;
  bool take_events();
  void look_at(const DiskEvent& event);
  bool is_change(const DiskEvent& event);
  void report_when_due();

  DiskTree tree_;
  const UniqueFd events_;  // of fanotify
  const UniqueFd stop_;    // an eventfd that is written to once
  const std::function<void()> changed_;
  const pid_t self_;
  std::vector<char> buffer_;
  bool unreported_ = false;        // a change that `changed_` was not called for
  Clock::time_point quiet_until_;  // when it may be called again
  std::thread thread_;             // uses all of the above
};

}  // namespace foliofs::server
