// Directories: reading them, with attributes where the kernel wants to remember those.
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// Of a reply: some two hundred entries with attributes.
constexpr std::uint32_t kReplyBytes = 64 << 10;

}  // namespace

Result<OpenDirectory*> Operations::open_directory(NodeId node) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) return Errno(ESTALE);
  auto directory = std::make_unique<OpenDirectory>();
  directory->inode = inode;
  ++inode->open_count;
  OpenDirectory* handle = directory.get();
  core_.open_directories[handle] = std::move(directory);
  return handle;
}

void Operations::release_directory(OpenDirectory* directory) {
  InodeRef inode = directory->inode;
  core_.open_directories.erase(directory);
  --inode->open_count;
  core_.inodes.drop_if_unused(inode);
}

Task<Result<std::vector<DirectoryEntry>>> Operations::read_directory(Call call,
                                                                     OpenDirectory* directory,
                                                                     std::uint64_t cookie,
                                                                     bool with_attributes) {
  InodeRef inode = directory->inode;
  wire::ReadDirRequestT request;
  request.caller = caller_of(call);
  request.cookie = cookie;
  request.max_bytes = kReplyBytes;
  request.with_attributes = with_attributes;
  auto reply =
      co_await core_.call_on<wire::ReadDirRequest>(inode, &wire::ReadDirRequestT::handle, request);
  if (!reply) co_return reply.error();
  std::vector<DirectoryEntry> entries;
  for (auto& wire : reply.value().entries) {
    DirectoryEntry entry;
    entry.name = std::move(wire->name);
    entry.cookie = wire->cookie;
    entry.ino = wire->ino;
    entry.type = wire->type;
    if (wire->attributes && !wire->handle.empty()) {
      auto entered =
          co_await core_.enter(inode, entry.name, wire->handle, from_wire(*wire->attributes));
      if (entered) entry.entry = entered.value();
    }
    entries.push_back(std::move(entry));
  }
  co_return entries;
}

}  // namespace foliofs::vfs
