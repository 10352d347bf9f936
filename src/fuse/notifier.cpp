#include "notifier.h"

#include <fuse_lowlevel.h>

#include <algorithm>

namespace foliofs::fuse {

Notifier::Notifier(fuse_session* session, Executor executor)
    : session_(session), pages_(executor), attributes_(executor), names_(executor) {}

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
    fuse_bufvec data = FUSE_BUFVEC_INIT(1);
    data.buf[0].mem = &stored;
    fuse_lowlevel_notify_store(session_, node, static_cast<off_t>(size - 1), &data,
                               FUSE_BUF_NO_SPLICE);
  }));
}

Task<void> Notifier::expire_attributes(std::vector<vfs::KernelNode> nodes) {
  return NotificationThread::wait(attributes_.add([this, nodes = std::move(nodes)] {
    // An offset of -1: attributes and ACLs alone. A directory's pages are the listing.
    for (const auto& node : nodes) {
      fuse_lowlevel_notify_inval_inode(session_, node.id, node.directory ? 0 : -1, 0);
    }
  }));
}

Task<void> Notifier::expire_names(std::vector<vfs::KernelName> names, bool keep_entries) {
  const auto flags = keep_entries ? FUSE_LL_EXPIRE_ONLY : fuse_expire_flags{};
  return NotificationThread::wait(names_.add([this, flags, names = std::move(names)] {
    for (const auto& [parent, name] : names) {
      fuse_lowlevel_notify_expire_entry(session_, parent, name.c_str(), name.size(), flags);
    }
  }));
}

}  // namespace foliofs::fuse
