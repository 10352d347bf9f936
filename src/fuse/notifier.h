// Notifier: makes the kernel forget pages, attributes, names and whole files, and tells it of a new
// end of a file.
//
// Each kind has a thread of its own, because each waits for something else in the kernel:
//
// | thread     | waits for                                                                  |
// |------------|----------------------------------------------------------------------------|
// | pages      | pages that READs in flight have locked; WRITEs of dirty mapped pages       |
// | names      | directories that any request has locked: changes, LOOKUP, READDIR          |
// | attributes | nothing that a request holds                                               |
// | forgets    | pages of files that go; directories, as names, on kernels before 6.18      |
//
// So none of them may be the loop that answers those requests (docs/ARCHITECTURE.md).
//
// Errors are of no interest: the kernel does not know the node or the name, or the mount is gone;
// in each case there is nothing to forget.
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
  // `session` must outlive the notifier; waiters are resumed on `executor`.
  // When it is destroyed the kernel must have let go of the mount (NotificationThread).
  Notifier(fuse_session* session, const Executor& executor);

  // Ranges of one node that wait are merged.
  Task<void> invalidate_pages(std::uint64_t node, ByteRange range);

  // Stores the last byte of a file that has `size` bytes into the kernel's page, if that makes the
  // file longer there; else only the byte. The kernel has no other notification of a size: one that
  // comes as an attribute is ignored while pages are being dropped.
  Task<void> extend(std::uint64_t node, std::uint64_t size, std::byte last);

  Task<void> expire_attributes(std::vector<vfs::KernelNode> nodes);

  // With `keep_entries` (Linux 6.2) the kernel only asks again at the next use. Otherwise it drops
  // the entries, and what is mounted on them goes too.
  Task<void> expire_names(std::vector<vfs::KernelName> names, bool keep_entries);

  // The kernel lets go of those that nothing uses. One before Linux 6.18 can only be made to drop
  // their names: not those of directories, which somebody may be in, and none at all while anything
  // is mounted below our mount point, because what is mounted on a name goes with it.
  Task<void> forget(std::vector<vfs::KernelFile> files);

  // "MAJOR:MINOR" of the mount; until it is known, names are not dropped.
  void set_device(const std::string& device) { device_ = device; }

 private:
  // A range to be dropped that the thread has not come to.
  struct QueuedRange {
    ByteRange range;
    NotificationRef notification;
  };

  // Both on the thread.
  bool prune(const std::vector<vfs::KernelFile>& files);
  void drop_names(const std::vector<vfs::KernelFile>& files, const std::string& device);

  NotificationRef queue_range(std::uint64_t node, ByteRange range);
  ByteRange take_range(std::uint64_t node);

  fuse_session* const session_;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, QueuedRange> ranges_;  // by node; protected by mutex_
  std::string device_;
  // Of the thread that forgets.
  bool kernel_prunes_ = true;  // as far as is known
  bool told_of_submounts_ = false;
  NotificationThread pages_, attributes_, names_, forgets_;
};

}  // namespace foliofs::fuse
