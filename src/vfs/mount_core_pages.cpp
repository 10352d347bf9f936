// The kernel's pages of a file: how they are dropped, and told where the file ends.
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// The kernel's pages are changed behind the backs of WRITEs that are on their way.
class PageNotification {
 public:
  explicit PageNotification(InodeRef inode) : inode_(std::move(inode)) {
    if (!inode_->refilled) inode_->refilled = std::make_unique<RefilledPages>();
    inode_->refilled->notify();
  }
  ~PageNotification() {
    inode_->refilled->notified();
    // Who writes has an open.
    const bool written = inode_->io && inode_->io->has_writable_open();
    if (!written && !inode_->refilled->notifying()) inode_->refilled.reset();
  }
  PageNotification(const PageNotification&) = delete;
  PageNotification& operator=(const PageNotification&) = delete;

 private:
  const InodeRef inode_;
};

}  // namespace

void MountCore::kernel_drops_pages(const InodeRef& inode) {
  // Who is about to write has had it open before.
  if (inode->open_count <= 1) return;
  auto until_taken = [](Clock& time, std::unique_ptr<PageNotification> notification) -> Task<void> {
    co_await time.sleep(kAnswerIsTaken);
    notification.reset();
  };
  spawn_unawaited("kernel drops pages",
                  until_taken(clock, std::make_unique<PageNotification>(inode)));
}

Task<void> MountCore::tell_growth(InodeRef inode) {
  const std::uint64_t size = inode->mapping->size();
  const std::uint64_t generation = inode->generation;
  // What was made longer here the kernel knows from the answer to that, and programs may have
  // stored to the last byte through a mapping, of which nobody here has heard.
  auto is_news = [&] {
    const bool by_others = version_of(inode->attributes) != inode->told_version;
    return by_others && size > inode->told_size && inode->growing == 0;
  };
  // Without an open nobody has mapped it, and it could not be read.
  if (!is_news() || !inode->io->readable()) co_return;
  // The byte is stored into the kernel's page, so it must be the true one.
  auto last = co_await inode->mapping->read({size - 1, size}, nullptr);
  const bool still_so = inode->mapping->size() == size && inode->generation == generation;
  if (!last || last.value().bytes != 1 || !still_so || !is_news()) co_return;
  const std::byte told_last = *static_cast<const std::byte*>(last.value().parts[0].iov_base);
  {
    const PageNotification notification(inode);
    inode->refilled->fill({size - 1, size});
    co_await kernel.extend(inode->node, size, told_last);
    inode->told_size = std::max(inode->told_size, size);
    inode->told_version = version_of(inode->attributes);
  }
  // Somebody may have stored to it meanwhile, and the kernel now has an older byte.
  auto now = co_await inode->mapping->read({size - 1, size}, nullptr);
  const bool still_true =
      now && now.value().bytes == 1 &&
      *static_cast<const std::byte*>(now.value().parts[0].iov_base) == told_last;
  if (!still_true) co_await drop_pages(inode, {size - 1, size});
}

Task<bool> MountCore::tell_no_end(InodeRef inode) {
  if (!is_just_appended(*inode)) co_return false;
  std::vector<KernelNode> node(1);
  node.front().id = inode->node;
  co_await kernel.expire_attributes(std::move(node));
  co_return true;
}

Task<void> MountCore::drop_pages(InodeRef inode, ByteRange range,
                                 std::shared_ptr<const ReplacedBytes>) {
  if (!inode->is_in_kernel()) co_return;
  const PageNotification notification(inode);
  co_await kernel.invalidate_pages(inode->node, range);
}

Task<void> MountCore::drop_unused_pages(InodeRef inode) {
  if (inode->open_count != 0) co_return;
  const std::uint64_t since = change;
  co_await drop_pages(inode, ByteRange::all());
  inode->pages_dropped_at = since;
}

Task<void> MountCore::drop_overtaken(InodeRef inode, ByteRange pages,
                                     std::shared_ptr<const ReplacedBytes> replaced) {
  constexpr Duration kPatience = std::chrono::milliseconds(10);
  const bool dropped =
      co_await wait_at_most(clock, kPatience, drop_pages(inode, pages, std::move(replaced)));
  // Whoever writes next to this file has not begun: the lock is with this WRITE until its answer.
  if (dropped && inode->refilled && !inode->refilled->notifying()) inode->refilled.reset();
}

}  // namespace foliofs::vfs
