#include "forgetting.h"

#include <algorithm>

#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// The pause between two requests to the kernel, in which the FORGETs of the first come. It gets
// longer and longer when they do not, because programs need the files.
constexpr Duration kShortPause = std::chrono::milliseconds(1);
constexpr Duration kLongPause = std::chrono::seconds(1);
// By how much inodes may exceed their share before listings bring no more.
constexpr std::uint64_t kTolerance = 8 << 20;

}  // namespace

std::uint64_t Forgetting::share() const {
  return core_.options.inode_allowance + core_.cache.most_set_aside();
}

bool Forgetting::exhausted() const {
  return core_.inodes.bytes() > share() + std::min(share() / 8, kTolerance);
}

void Forgetting::used(Inode& inode) {
  if (inode.InodeByUse::is_linked()) by_use_.erase(by_use_.iterator_to(inode));
  by_use_.push_back(inode);
}

void Forgetting::memory_changed() {
  constexpr std::uint64_t kStep = 1 << 20;
  const std::uint64_t bytes = core_.inodes.bytes();
  const std::uint64_t allowance = core_.options.inode_allowance;
  const std::uint64_t beyond = bytes > allowance ? (bytes - allowance) / kStep * kStep : 0;
  if (beyond != set_aside_) core_.cache.set_aside(set_aside_ = beyond);
  if (running_ || core_.stopping || bytes <= share()) return;
  running_ = true;
  core_.spawn_unawaited("forgetting", run(core_));
}

std::size_t Forgetting::too_many() const {
  const std::uint64_t bytes = core_.inodes.bytes();
  const std::uint64_t enough = share() / 16 * 15;
  if (bytes <= enough) return 0;
  return (bytes - enough) / (bytes / core_.inodes.size()) + 1;
}

std::vector<KernelFile> Forgetting::oldest(std::size_t most) {
  constexpr std::size_t kMostLooks = 16 * kMostFiles;
  std::vector<KernelFile> files;
  for (std::size_t looks = 0; looks < kMostLooks && files.size() < most; ++looks) {
    if (by_use_.empty()) break;
    Inode& inode = by_use_.front();
    used(inode);
    const bool in_use = inode.open_count != 0 || inode.dirty() || inode.node == kRootNode;
    if (inode.lookups == 0 || in_use || inode.name.empty()) continue;
    const bool directory = inode.attributes.is_directory();
    files.push_back({inode.node, {inode.parent, inode.name}, directory});
  }
  return files;
}

Task<void> Forgetting::run(MountCore& core) {
  const std::weak_ptr<MountCore*> alive = core.self;
  Forgetting& forgetting = core.forgetting;
  Duration pause = kShortPause;
  while (!core.stopping && forgetting.too_many() != 0) {
    std::vector<KernelFile> files = forgetting.oldest(std::min(kMostFiles, forgetting.too_many()));
    const std::uint64_t enough = core.inodes.drops() + files.size() / 2 + 1;
    if (!files.empty()) {
      const BackgroundTask task(core);
      co_await core.kernel.forget(std::move(files));
    }
    co_await core.clock.sleep(pause);
    if (alive.expired()) co_return;
    pause = core.inodes.drops() >= enough ? kShortPause : std::min(2 * pause, kLongPause);
  }
  forgetting.running_ = false;
}

}  // namespace foliofs::vfs
