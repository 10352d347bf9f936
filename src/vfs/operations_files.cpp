// Open files: open and create, read and write, and the three ends: flush, fsync, release.
#include <fcntl.h>

#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// What of open(2)'s flags concerns the server; the rest is the kernel's or ours.
constexpr int kServerOpenFlags = O_ACCMODE;
constexpr int kServerCreateFlags = O_ACCMODE | O_EXCL | O_TRUNC;

std::shared_ptr<ServerOpen> make_open(std::uint64_t id, int flags, const Caller& caller,
                                      std::uint64_t incarnation) {
  auto open = std::make_shared<ServerOpen>();
  open->id = id;
  open->incarnation = incarnation;
  open->flags = flags & O_ACCMODE;
  open->opener = caller;
  return open;
}

std::uint64_t where_to_store(const OpenFile& file, std::uint64_t offset,
                             cache::WriteSource source) {
  const bool at_end = file.append && source == cache::WriteSource::kSystemCall;
  return at_end ? file.inode->mapping->size() : offset;
}

}  // namespace

Task<Result<OpenedFile>> Operations::open(Call call, NodeId node, int flags) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  if (core_.options.read_only && (flags & O_ACCMODE) != O_RDONLY) co_return Errno(EROFS);
  const std::uint64_t asked_at = inode->generation;
  wire::OpenRequestT request;
  request.caller = caller_of(call);
  request.open_flags = static_cast<std::uint32_t>(flags & kServerOpenFlags);
  auto reply =
      co_await core_.call_on<wire::OpenRequest>(inode, &wire::OpenRequestT::handle, request);
  if (!reply) co_return reply.error();
  if (!reply.value().attributes) co_return Errno(EPROTO);
  auto server_open =
      make_open(reply.value().open_id, flags, call.caller, core_.session.incarnation());
  const Attributes attributes = from_wire(*reply.value().attributes);
  if (attributes.nlink == 0 && !inode->name.empty()) {
    // Somebody else has removed or replaced it under the name by which the kernel remembers it.
    // On ESTALE the kernel looks the path up anew.
    core_.inodes.change_name(*inode, 0, "");
    co_await core_.close_server_open(server_open);
    co_return Errno(ESTALE);
  }
  core_.prepare_mapping(inode);
  const bool first = !inode->cached_version;
  OpenedFile opened = core_.add_open_file(inode, std::move(server_open), flags);
  const bool changed = co_await core_.take_attributes(inode, attributes, asked_at);
  opened.keep_cache = !changed && !first;
  co_return opened;
}

Task<Result<CreatedFile>> Operations::create(Call call, NodeId parent_node, std::string name,
                                             std::uint32_t mode, int flags) {
  InodeRef parent = core_.inodes.find(parent_node);
  if (!parent) co_return Errno(ESTALE);
  if (core_.options.read_only) co_return Errno(EROFS);
  if (auto valid = check_name(name); !valid) co_return valid.error();
  wire::CreateRequestT request;
  request.caller = caller_of(call);
  request.name = name;
  request.mode = mode;
  request.open_flags = static_cast<std::uint32_t>(flags & kServerCreateFlags);
  auto reply =
      co_await core_.call_on<wire::CreateRequest>(parent, &wire::CreateRequestT::parent, request);
  core_.directory_changed(*parent);
  if (!reply) co_return reply.error();
  if (!reply.value().attributes || reply.value().handle.empty()) co_return Errno(EPROTO);
  const std::uint64_t incarnation = core_.session.incarnation();
  const Attributes attributes = from_wire(*reply.value().attributes);
  InodeRef inode = core_.inode_for(parent, name, reply.value().handle);
  if (inode->mapping && (flags & O_TRUNC) != 0 && !reply.value().created) {
    // The server has truncated a file that was here already.
    auto truncated =
        co_await inode->mapping->truncate(0, []() -> Task<Status> { co_return success(); });
    if (!truncated) co_return truncated.error();
  }
  auto entered = co_await core_.enter(parent, name, reply.value().handle, attributes);
  if (!entered) co_return entered.error();
  core_.prepare_mapping(inode);
  if (!inode->cached_version) inode->cached_version = attributes;
  CreatedFile created;
  created.opened = core_.add_open_file(
      inode, make_open(reply.value().open_id, flags, call.caller, incarnation), flags);
  created.entry = entered.value();
  co_return created;
}

bool Operations::try_read(OpenFile* file, std::uint64_t offset, std::uint64_t length,
                          cache::ReadResult& result) {
  if (file->direct) return false;
  return file->inode->mapping->try_read(ByteRange::of(offset, length), &file->readahead, result);
}

Task<Result<cache::ReadResult>> Operations::read(OpenFile* file, std::uint64_t offset,
                                                 std::uint64_t length) {
  auto mapping = file->inode->mapping;
  const ByteRange range = ByteRange::of(offset, length);
  if (file->direct) co_return co_await mapping->read_direct(range);
  co_return co_await mapping->read(range, &file->readahead);
}

bool Operations::try_write(OpenFile* file, std::uint64_t offset, std::span<const std::byte> data,
                           cache::WriteSource source) {
  if (file->direct) return false;
  offset = where_to_store(*file, offset, source);
  if (!file->inode->mapping->try_write(offset, data, source)) return false;
  core_.note_store(*file);
  return true;
}

Task<Status> Operations::write(Call call, OpenFile* file, std::uint64_t offset,
                               std::span<const std::byte> data, cache::WriteSource source) {
  InodeRef inode = file->inode;
  auto mapping = inode->mapping;
  Status status = success();
  offset = where_to_store(*file, offset, source);
  if (file->direct && source == cache::WriteSource::kSystemCall) {
    status = co_await mapping->write_direct(offset, data, call.abandoned);
  } else {
    status = co_await mapping->write(offset, data, source, call.abandoned);
  }
  if (status) core_.note_store(*file);
  co_return status;
}

bool Operations::try_flush(OpenFile* file) {
  Inode& inode = *file->inode;
  cache::ErrCursor cursor = file->errors;
  return !inode.dirty() && !inode.mtime_shown && inode.mapping->errors().check(cursor);
}

Task<Status> Operations::flush(OpenFile* file) {
  InodeRef inode = file->inode;
  if (file->server_open->writable() && inode->dirty()) {
    co_await inode->mapping->flush(core_.request_for(cache::InvalidateReason::kClose));
  }
  if (file->server_open->writable()) co_await core_.settle_mtime(inode);
  Status seen = inode->mapping->errors().check(file->errors);
  inode->told_of_failure = !seen;
  co_return seen;
}

Task<Status> Operations::fsync(OpenFile* file, bool data_only) {
  InodeRef inode = file->inode;
  if (inode->dirty()) {
    co_await inode->mapping->flush(core_.request_for(cache::InvalidateReason::kClose));
  }
  if (auto seen = inode->mapping->errors().check(file->errors); !seen) co_return seen;
  if (file->server_open->writable()) co_await core_.settle_mtime(inode);
  co_return co_await inode->io->commit(file->server_open, data_only);
}

Task<void> Operations::release(OpenFile* file) {
  auto found = core_.open_files.find(file);
  if (found == core_.open_files.end()) co_return;
  std::unique_ptr<OpenFile> owned = std::move(found->second);
  core_.open_files.erase(found);
  InodeRef inode = owned->inode;
  auto server_open = owned->server_open;

  const bool writable = server_open->writable();
  if (writable && inode->dirty()) {
    // Stored after the last FLUSH, or failed then. Laundering needs no gate, so it works here
    // whatever went wrong before.
    auto request = core_.request_for(cache::InvalidateReason::kRelease);
    if (!inode->mapping->errors().check(owned->errors)) {
      request.mode = cache::InvalidateMode::kLaunder;
    }
    const bool told_already = inode->told_of_failure;
    co_await inode->mapping->flush(request);
    // A failure that close(2) has reported is not news to whoever opens the file next.
    if (told_already) (void)inode->mapping->errors().check(owned->errors);
  }
  if (writable) co_await core_.settle_mtime(inode);
  if (writable && inode->dirty() && !inode->kept_open && !core_.stopping) {
    spawn(core_.executor, "write later", MountCore::write_later(core_, inode, server_open));
    co_return;
  }
  inode->io->remove(server_open);
  --inode->open_count;
  co_await core_.close_server_open(server_open);
  core_.inodes.drop_if_unused(inode);
}

}  // namespace foliofs::vfs
