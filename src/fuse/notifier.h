// Notifier: makes the kernel forget pages, attributes, names and whole files, and tells it of a new
// end of a file.
//
// Each kind has its own thread, because in the kernel each waits for something else:
//
// | thread     | waits for                                                                  |
// |------------|----------------------------------------------------------------------------|
// | pages      | pages that READs in flight have locked; WRITEs of dirty mapped pages       |
// | names      | directories that any request has locked: changes, LOOKUP, READDIR          |
// | attributes | nothing that a request holds                                               |
// | forgets    | pages of files that are evicted; before Linux 6.18 directories, as `names` |
//
// So none of them may run on the loop, which answers those requests (docs/ARCHITECTURE.md).
//
// Errors are ignored: either the kernel does not know the node or the name, or the mount is gone.
// In each case there is nothing to forget.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "foliofs/base/byte_range.h"
#include "foliofs/vfs/mount.h"
#include "notification_thread.h"

struct fuse_session;

namespace foliofs::fuse {

class Notifier {
 public:
  // `session` must outlive the notifier. Waiters are resumed on `executor`. Before the notifier is
  // destroyed, the kernel must have let go of the mount (NotificationThread).
  Notifier(fuse_session* session, const Executor& executor);

  // Ranges of one node that wait in the queue are merged.
  Task<void> invalidate_pages(std::uint64_t node, ByteRange range);

  // Tells the kernel that a file has `size` bytes, by storing its last byte in the kernel's page.
  // The kernel then raises its own size if that is smaller; otherwise it only stores the byte. No
  // other notification carries a size, and the kernel ignores a size that comes as an attribute
  // while pages are being dropped.
  Task<void> extend(std::uint64_t node, std::uint64_t size, std::byte last);

  Task<void> expire_attributes(std::vector<vfs::KernelNode> nodes);

  // With `keep_entries` (Linux 6.2) the kernel keeps the entries and only asks again at their next
  // use. Otherwise it drops the entries and unmounts what is mounted on them.
  Task<void> expire_names(std::vector<vfs::KernelName> names, bool keep_entries);

  // Makes the kernel forget those of `files` that nothing uses. A kernel before Linux 6.18 can only
  // be made to drop their names, and dropping a name unmounts what is mounted on it. So no name is
  // dropped while anything is mounted below our mount point. Names of directories stay, because a
  // process may be in one.
  Task<void> forget(std::vector<vfs::KernelFile> files);

  // "MAJOR:MINOR" of the mount. Until it is set, forget() drops no names.
  void set_device(const std::string& device) { device_ = device; }

 private:
  // A range that waits in the queue.
  struct QueuedRange {
    ByteRange range;
    NotificationRef notification;
  };

  // Both run on the thread of `forgets_`.
  bool prune(const std::vector<vfs::KernelFile>& files);
  void drop_names(const std::vector<vfs::KernelFile>& files, const std::string& device);

  NotificationRef queue_range(std::uint64_t node, ByteRange range);
  ByteRange take_range(std::uint64_t node);

  fuse_session* const session_;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, QueuedRange> ranges_;  // by node; protected by mutex_
  std::string device_;
  // Used on the thread of `forgets_`.
  bool kernel_prunes_ = true;  // until the kernel refuses
  bool told_of_submounts_ = false;
  NotificationThread pages_, attributes_, names_, forgets_;
};

}  // namespace foliofs::fuse
