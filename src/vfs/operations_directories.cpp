// Directories: reading them, with attributes where the kernel wants to remember those.
#include "mount_core.h"

namespace foliofs::vfs {

Result<OpenedDirectory> Operations::open_directory(NodeId node) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) return Errno(ESTALE);
  auto directory = std::make_shared<OpenDirectory>();
  directory->inode = inode;
  ++inode->open_count;
  core_.forgetting.used(*inode);
  core_.open_directories[directory.get()] = directory;
  OpenedDirectory opened;
  opened.directory = directory;
  Lease& lease = inode->lease;
  // A stream from the time of another lease may add what it was answered then.
  const bool mixes = lease.listing_streams != 0 && lease.kernel_listing != lease.number;
  directory->cached = core_.options.kernel_cache && core_.leases.holds(*inode) && !mixes;
  if (!directory->cached) return opened;
  opened.cache_listing = true;
  opened.keep_listing = std::exchange(lease.kernel_listing, lease.number) == lease.number;
  ++lease.listing_streams;
  inode->kernel.believes = true;
  return opened;
}

void Operations::release_directory(OpenDirectory* directory) {
  InodeRef inode = directory->inode;
  const bool cached = directory->cached;
  if (core_.open_directories.erase(directory) == 0) return;
  if (cached) --inode->lease.listing_streams;
  --inode->open_count;
  core_.drop_if_unused(inode);
}

Task<Result<DirectoryEntries>> Operations::read_directory(Call call, OpenDirectoryRef directory,
                                                          std::uint64_t cookie,
                                                          bool with_attributes) {
  co_return co_await core_.names.read_directory(std::move(call), directory->inode, cookie,
                                                with_attributes);
}

void Operations::refresh(const OpenDirectory& directory, DirectoryEntry& entry) {
  if (!entry.entry) return;
  InodeRef inode = core_.inodes.find(entry.entry->node);
  // Since it was read, names may have been made or removed here.
  const bool name_is_good = directory.inode->changed_at <= entry.asked_at &&
                            !core_.leases.is_recalled(*directory.inode, entry.asked_at);
  const Duration age = core_.clock.now() - entry.asked;
  const NodeId parent = directory.inode->node;
  const bool recent = age < core_.options.actimeo_us;
  const bool covered = inode && core_.leases.covers_name(*inode, *directory.inode);
  if (inode && name_is_good && (recent || covered) && !core_.forgetting.exhausted() &&
      core_.attributes.timeout(*inode) > Duration::zero() &&
      !core_.names.is_known_above(*inode, parent, entry.name)) {
    entry.entry = core_.names.entry_of(*inode, parent, entry.name, entry.asked_at, age);
    return;
  }
  const NodeId node = entry.entry->node;
  entry.entry.reset();
  forget(node, 1);
}

Task<Status> Operations::fsync_directory(Call call, OpenDirectoryRef directory, bool data_only) {
  InodeRef inode = directory->inode;
  for (int attempt = 0; attempt < InodeIo::kMaxAttempts; ++attempt) {
    wire::OpenRequestT open;
    open.caller = caller_of(call);
    auto opened =
        co_await core_.exchange_on<wire::OpenRequest>(inode, &wire::OpenRequestT::handle, open);
    if (!opened) co_return opened.error();
    const auto* reply = proto::view<wire::OpenReply>(opened.value().meta);
    if (reply == nullptr) co_return Errno(EPROTO);
    const std::uint64_t incarnation = opened.value().incarnation;
    wire::CommitRequestT commit;
    commit.open_id = reply->open_id();
    commit.data_only = data_only;
    auto committed = co_await core_.call<wire::CommitRequest>(commit, nullptr, incarnation);
    if (!committed && committed.error() == rpc::kSessionLost) continue;
    wire::CloseRequestT close;
    close.open_id = commit.open_id;
    (void)co_await core_.call<wire::CloseRequest>(close, nullptr, incarnation);
    if (!committed) co_return committed.error();
    co_return success();
  }
  co_return Errno(EIO);
}

}  // namespace foliofs::vfs
