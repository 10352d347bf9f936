#include "notifications.h"

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
    // A program that writes has the file open.
    const bool written = inode_->io && inode_->io->has_writable_open();
    if (!written && !inode_->refilled->notifying()) inode_->refilled.reset();
  }
  PageNotification(const PageNotification&) = delete;
  PageNotification& operator=(const PageNotification&) = delete;

 private:
  const InodeRef inode_;
};

// A notification about files: the kernel then ignores answers about them to earlier requests.
class Notification {
 public:
  Notification(MountCore& core, std::vector<InodeRef> inodes)
      : core_(core.self), inodes_(std::move(inodes)) {
    for (const InodeRef& inode : inodes_) ++inode->kernel.notifications;
  }
  // The mount may have ended meanwhile.
  ~Notification() {
    const auto core = core_.lock();
    const std::uint64_t now = core ? ++(*core)->logical_time : 0;
    for (const InodeRef& inode : inodes_) {
      --inode->kernel.notifications;
      inode->kernel.ignores_before = now;
    }
  }
  Notification(const Notification&) = delete;
  Notification& operator=(const Notification&) = delete;

 private:
  const std::weak_ptr<MountCore*> core_;
  const std::vector<InodeRef> inodes_;
};

}  // namespace

void Notifications::expect_pages_dropped(const InodeRef& inode) {
  // A program that is about to write has had the file open before.
  if (inode->open_count <= 1) return;
  auto until_taken = [](Clock& time, std::unique_ptr<PageNotification> notification) -> Task<void> {
    co_await time.sleep(MountCore::kAnswerIsTaken);
    notification.reset();
  };
  core_.spawn_unawaited("kernel drops pages",
                        until_taken(core_.clock, std::make_unique<PageNotification>(inode)));
}

bool Notifications::has_unstable_size(const Inode& inode) const {
  const KernelView& told = inode.kernel;
  const bool growing = told.uncached_growth != 0;
  if (told.cached_opens == 0) return false;
  if (!growing && core_.clock.now() >= told.size_unstable_until) return false;
  const std::uint64_t size = inode.mapping->size();
  const bool only_ours = version_of(inode.attributes) == told.version;
  const bool known_end = size == told.size || (growing && only_ours && size > told.size);
  return known_end && told.knows_owner_and_mode(inode.attributes);
}

Task<void> Notifications::tell_growth(InodeRef inode) {
  const std::uint64_t size = inode->mapping->size();
  const std::uint64_t changed_at = inode->changed_at;
  // If the file was made longer here, the kernel knows that from the answer, and programs may have
  // stored to the last byte through a mapping, which nobody here knows of.
  auto is_news = [&] {
    const bool by_others = version_of(inode->attributes) != inode->kernel.version;
    return by_others && size > inode->kernel.size && inode->kernel.growing == 0;
  };
  // Without an open nobody has mapped the file, and the byte could not be read.
  if (!is_news() || !inode->io->readable()) co_return;
  // The byte is stored into the kernel's page, so it must be the true one.
  auto last = co_await inode->mapping->read({size - 1, size}, nullptr);
  const bool same = inode->mapping->size() == size && inode->changed_at == changed_at;
  const bool still_so = same && inode->io->readable();
  if (!last || last.value().bytes != 1 || !still_so || !is_news()) co_return;
  const std::byte told_last = *static_cast<const std::byte*>(last.value().parts[0].iov_base);
  {
    const Notification notification(core_, {inode});
    const PageNotification pages(inode);
    inode->refilled->fill({size - 1, size});
    co_await core_.kernel.extend(inode->node, size, told_last);
    inode->kernel.reaches(size);
    inode->kernel.version = version_of(inode->attributes);
  }
  // A program may have stored to it meanwhile, so that the kernel now has an older byte.
  auto now = co_await inode->mapping->read({size - 1, size}, nullptr);
  const bool still_true =
      now && now.value().bytes == 1 &&
      *static_cast<const std::byte*>(now.value().parts[0].iov_base) == told_last;
  if (!still_true) co_await drop_pages(inode, {size - 1, size});
}

Task<void> Notifications::hide_unstable_size(InodeRef inode) {
  if (!has_unstable_size(*inode)) co_return;
  std::vector<InodeRef> files(1, inode);
  co_await expire_attributes(std::move(files));
}

Task<void> Notifications::expire_attributes(std::vector<InodeRef> files) {
  std::vector<KernelNode> nodes;
  nodes.reserve(files.size());
  for (const InodeRef& inode : files) {
    nodes.push_back({inode->node, inode->attributes.is_directory()});
  }
  const Notification notification(core_, std::move(files));
  co_await core_.kernel.expire_attributes(std::move(nodes));
}

Task<void> Notifications::drop_pages(InodeRef inode, ByteRange range,
                                     std::shared_ptr<const ReplacedBytes>) {
  if (!inode->kernel.may_have_pages()) co_return;
  const Notification notification(core_, {inode});
  const PageNotification pages(inode);
  co_await core_.kernel.invalidate_pages(inode->node, range);
}

Task<void> Notifications::drop_unused_pages(std::vector<InodeRef> files) {
  const std::weak_ptr<MountCore*> alive = core_.self;
  for (const InodeRef& inode : files) {
    if (alive.expired()) co_return;
    if (inode->open_count != 0 || !inode->kernel.may_have_pages()) continue;
    const std::uint64_t since = core_.logical_time;
    co_await drop_pages(inode, ByteRange::all());
    inode->kernel.pages_dropped_at = since;
  }
}

Task<void> Notifications::drop_refilled(InodeRef inode, ByteRange pages,
                                        std::shared_ptr<const ReplacedBytes> replaced) {
  constexpr Duration kPatience = std::chrono::milliseconds(10);
  const bool dropped =
      co_await wait_at_most(core_.clock, kPatience, drop_pages(inode, pages, std::move(replaced)));
  // The next write(2) to this file has not begun: this WRITE has the lock until it is answered.
  if (dropped && inode->refilled && !inode->refilled->notifying()) inode->refilled.reset();
}

UncachedGrowth::UncachedGrowth(MountCore& core, InodeRef inode)
    : core_(core.self), inode_(std::move(inode)) {
  ++inode_->kernel.uncached_growth;
}

UncachedGrowth::~UncachedGrowth() {
  --inode_->kernel.uncached_growth;
  const auto core = core_.lock();
  if (!core) return;
  inode_->kernel.size_unstable_until = (*core)->clock.now() + MountCore::kAnswerIsTaken;
}

}  // namespace foliofs::vfs
