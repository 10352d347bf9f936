#include "notifier.h"

#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "foliofs/base/log.h"
#include "foliofs/base/mount_table.h"

namespace foliofs::fuse {

namespace {

// FUSE_NOTIFY_PRUNE of Linux 6.18, which libfuse does not know.
constexpr std::int32_t kNotifyPrune = 9;
struct PruneHeader {
  std::uint32_t count = 0;
  std::uint32_t padding = 0;
  std::uint64_t spare = 0;
};

}  // namespace

Notifier::Notifier(fuse_session* session, const Executor& executor)
    : session_(session),
      pages_(executor),
      attributes_(executor),
      names_(executor),
      forgets_(executor) {}

Task<void> Notifier::invalidate_pages(std::uint64_t node, ByteRange range) {
  return NotificationThread::wait(queue_range(node, range));
}

NotificationRef Notifier::queue_range(std::uint64_t node, ByteRange range) {
  std::lock_guard lock(mutex_);
  if (auto queued = ranges_.find(node); queued != ranges_.end()) {
    ByteRange& merged = queued->second.range;
    merged.begin = std::min(merged.begin, range.begin);
    merged.end = std::max(merged.end, range.end);
    return queued->second.notification;
  }
  auto notification = pages_.add([this, node] {
    const ByteRange dropped = take_range(node);
    // A length of 0 means "to the end".
    const bool to_end = dropped.end == ByteRange::kNoEnd;
    fuse_lowlevel_notify_inval_inode(session_, node, static_cast<off_t>(dropped.begin),
                                     to_end ? 0 : static_cast<off_t>(dropped.size()));
  });
  ranges_.emplace(node, QueuedRange{range, notification});
  return notification;
}

ByteRange Notifier::take_range(std::uint64_t node) {
  std::lock_guard lock(mutex_);
  return ranges_.extract(node).mapped().range;
}

Task<void> Notifier::extend(std::uint64_t node, std::uint64_t size, std::byte last) {
  return NotificationThread::wait(pages_.add([this, node, size, last] {
    std::byte stored = last;
    fuse_bufvec data{};
    data.count = 1;
    data.buf[0].size = 1;
    data.buf[0].mem = &stored;
    fuse_lowlevel_notify_store(session_, node, static_cast<off_t>(size - 1), &data,
                               FUSE_BUF_NO_SPLICE);
  }));
}

Task<void> Notifier::expire_attributes(std::vector<vfs::KernelNode> nodes) {
  return NotificationThread::wait(attributes_.add([this, nodes = std::move(nodes)] {
    // An offset of -1 expires only attributes and ACLs; an offset of 0 also drops the pages, which
    // for a directory are its listing.
    for (const auto& node : nodes) {
      fuse_lowlevel_notify_inval_inode(session_, node.id, node.directory ? 0 : -1, 0);
    }
  }));
}

Task<void> Notifier::expire_names(std::vector<vfs::KernelName> names, bool keep_entries) {
  return NotificationThread::wait(names_.add([this, keep_entries, names = std::move(names)] {
    for (const auto& [parent, name, lost] : names) {
      const auto flags = keep_entries && !lost ? FUSE_LL_EXPIRE_ONLY : fuse_expire_flags{};
      fuse_lowlevel_notify_expire_entry(session_, parent, name.c_str(), name.size(), flags);
    }
  }));
}

Task<void> Notifier::forget(std::vector<vfs::KernelFile> files) {
  return NotificationThread::wait(forgets_.add([this, files = std::move(files), device = device_] {
    if (!prune(files)) drop_names(files, device);
  }));
}

// False if the kernel does not know FUSE_NOTIFY_PRUNE.
bool Notifier::prune(const std::vector<vfs::KernelFile>& files) {
  if (!kernel_prunes_) return false;
  std::vector<std::uint64_t> nodes;
  nodes.reserve(files.size());
  for (const auto& file : files) nodes.push_back(file.id);
  PruneHeader prune;
  prune.count = static_cast<std::uint32_t>(nodes.size());
  const std::size_t bytes = nodes.size() * sizeof nodes[0];
  fuse_out_header header{};
  header.len = static_cast<std::uint32_t>(sizeof header + sizeof prune + bytes);
  header.error = kNotifyPrune;  // a `unique` of 0 makes this a notification
  iovec parts[] = {{&header, sizeof header}, {&prune, sizeof prune}, {nodes.data(), bytes}};
  const ssize_t written = ::writev(fuse_session_fd(session_), parts, std::size(parts));
  kernel_prunes_ = written >= 0 || errno != EINVAL;
  return kernel_prunes_;
}

void Notifier::drop_names(const std::vector<vfs::KernelFile>& files, const std::string& device) {
  const auto mounts = read_mount_table();
  if (device.empty() || (mounts && has_submounts(mounts.value(), device))) {
    if (!std::exchange(told_of_submounts_, true)) {
      log_warn("something is mounted below the mount point: the kernel is not made to forget");
    }
    return;
  }
  for (const auto& [id, name, directory] : files) {
    if (directory) continue;
    fuse_lowlevel_notify_inval_entry(session_, name.parent_id, name.name.c_str(), name.name.size());
  }
}

}  // namespace foliofs::fuse
