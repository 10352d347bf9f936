// Directories: reading them, with attributes where the kernel wants to remember those.
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// Of a reply: some two hundred entries with attributes.
constexpr std::uint32_t kReplyBytes = 64 << 10;

}  // namespace

Result<OpenedDirectory> Operations::open_directory(NodeId node) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) return Errno(ESTALE);
  auto directory = std::make_shared<OpenDirectory>();
  directory->inode = inode;
  ++inode->open_count;
  core_.open_directories[directory.get()] = directory;
  OpenedDirectory opened;
  opened.directory = std::move(directory);
  return opened;
}

void Operations::release_directory(OpenDirectory* directory) {
  InodeRef inode = directory->inode;
  if (core_.open_directories.erase(directory) == 0) return;
  --inode->open_count;
  core_.inodes.drop_if_unused(inode);
}

Task<Result<DirectoryEntries>> Operations::read_directory(Call call, OpenDirectoryRef directory,
                                                          std::uint64_t cookie,
                                                          bool with_attributes) {
  co_return co_await core_.read_directory(std::move(call), directory->inode, cookie,
                                          with_attributes);
}

Task<Result<DirectoryEntries>> MountCore::read_directory(Call call, InodeRef directory,
                                                         std::uint64_t cookie,
                                                         bool with_attributes) {
  wire::ReadDirRequestT request;
  request.caller = caller_of(call);
  request.cookie = cookie;
  request.max_bytes = kReplyBytes;
  request.with_attributes = with_attributes;
  const TimePoint now = clock.now();
  const std::uint64_t asked_at = change;
  auto reply =
      co_await call_on<wire::ReadDirRequest>(directory, &wire::ReadDirRequestT::handle, request);
  if (!reply) co_return reply.error();
  DirectoryEntries read;
  read.end = reply.value().end;
  for (auto& wire : reply.value().entries) {
    DirectoryEntry entry;
    entry.name = std::move(wire->name);
    entry.cookie = wire->cookie;
    entry.ino = wire->ino;
    entry.type = wire->type;
    entry.asked_at = now;
    entry.change = asked_at;
    if (wire->attributes && !wire->handle.empty()) {
      InodeRef entered = co_await enter(directory, entry.name, wire->handle,
                                        from_wire(*wire->attributes), asked_at);
      entered->listed = {name_key(directory->node, entry.name), now, asked_at};
      entry.entry.emplace();
      entry.entry->node = entered->node;
    }
    read.entries.push_back(std::move(entry));
  }
  co_return read;
}

void Operations::refresh(const OpenDirectory& directory, DirectoryEntry& entry) {
  if (!entry.entry) return;
  InodeRef inode = core_.inodes.find(entry.entry->node);
  // Since it was read, names may have been made or removed here.
  const bool name_is_good = directory.inode->generation <= entry.change;
  const Duration age = core_.clock.now() - entry.asked_at;
  const NodeId parent = directory.inode->node;
  if (inode && name_is_good && age < core_.options.actimeo_us &&
      core_.attribute_timeout(*inode) > Duration::zero() &&
      !core_.knows_entry(*inode, parent, entry.name)) {
    entry.entry = core_.entry_of(*inode, parent, entry.name, age);
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
        co_await core_.call_on<wire::OpenRequest>(inode, &wire::OpenRequestT::handle, open);
    if (!opened) co_return opened.error();
    const std::uint64_t incarnation = core_.session.incarnation();
    wire::CommitRequestT commit;
    commit.open_id = opened.value().open_id;
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
