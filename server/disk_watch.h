// DiskWatch: notices that another process of this machine changes something in an export's tree on
// the disk itself, past the server.
//
// It tells only that there was a change, not where. It cannot see what other machines change on the
// filesystem (FileStore::remote()), nor:
//   - a store through a shared mapping, asynchronous I/O (io_submit) or a loop device, before the
//     file is closed and no longer mapped;
//   - a change of a file of the tree through another name that the file has outside;
//   - a change of a file that was moved out of the tree and is still open;
//   - a change made to a filesystem below this one (the layers of an overlay).
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
  // this one has changed content, attributes, xattrs or names. The call comes soon after the
  // change, but not within 100 ms of the previous call; a change in that time is reported at its
  // end. There may be calls without a change: when the kernel has lost events, or when it is not
  // known where a change was. `changed` must not throw and not destroy the watch.
  //
  // The thread keeps the credentials of the caller of start(). EPERM without CAP_SYS_ADMIN and
  // CAP_DAC_READ_SEARCH; EOPNOTSUPP, ENODEV, EXDEV when the filesystem cannot be watched; EMFILE
  // when the user watches too much already.
  static Result<std::unique_ptr<DiskWatch>> start(int root, std::function<void()> changed);

  // Ends the thread; waits for a call of `changed` that is running, and `changed` is not called
  // again.
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
  const UniqueFd events_;  // the fanotify group
  const UniqueFd stop_;    // an eventfd; the destructor writes to it once
  const std::function<void()> changed_;
  const pid_t self_;
  std::vector<char> buffer_;
  bool unreported_ = false;        // a change not yet reported through `changed_`
  Clock::time_point quiet_until_;  // when `changed_` may be called again
  std::thread thread_;             // uses all members above
};

}  // namespace foliofs::server
