// What the server itself does to ranges of open files: appends, allocation, copies; and where their
// data and holes are.
#include <linux/falloc.h>

#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// The most that one call copies, because stores to the target wait for it.
constexpr std::uint64_t kMaxCopyBytes = 64 << 20;

// The modes that FUSE passes on. Others would move bytes of which the kernel has pages.
constexpr std::uint32_t kAllocateModes =
    FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;

bool is_abandoned(const Call& call) {
  return call.abandoned && call.abandoned();
}

}  // namespace

// What is dirty is written first, so that the server's end is at least the one that is known here.
Task<Status> Operations::append(Call call, OpenFileRef file, Store store) {
  InodeRef inode = file->inode;
  const OwnGrowth growth(inode);
  co_await core_.attribute_writeback.write(inode);
  std::uint64_t landed = 0, size = 0, changed_at = 0;
  auto send = [&]() -> Task<Result<cache::ServerChange>> {
    if (is_abandoned(call)) co_return Errno(EINTR);
    auto appended = co_await inode->io->append(file->server_open, store.data);
    if (!appended) co_return appended.error();
    landed = appended.value().offset;
    size = appended.value().size;
    changed_at = inode->changed_at;
    co_return cache::ServerChange{{landed, size}, size};
  };
  Status status = co_await inode->mapping->change_on_server(ByteRange::all(), send);
  // A program that appends all the time overtakes every other answer, and until now the mapping
  // could not take the size in this one.
  const bool newest = inode->changed_at == changed_at && inode->attributes.size == size;
  if (status && newest && inode->size_unknown) AttributeCache::take_size(*inode, size);
  if (status) core_.attributes.stored(*file, store, landed);
  if (status && !file->kernel_caches && std::exchange(inode->kernel.has_end, false)) {
    co_await core_.notifications.drop_pages(inode,
                                            {std::min(store.offset, landed), ByteRange::kNoEnd});
  }
  co_return status;
}

Task<Status> Operations::allocate(Call call, OpenFileRef file, std::uint32_t mode,
                                  std::uint64_t offset, std::uint64_t length) {
  if ((mode & ~kAllocateModes) != 0) co_return Errno(EOPNOTSUPP);
  const ByteRange range = ByteRange::of(offset, length);
  if (range.size() != length) co_return Errno(EFBIG);
  InodeRef inode = file->inode;
  const OwnGrowth growth(inode);
  co_await core_.attribute_writeback.write(inode);
  const bool clears = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
  const bool grows = (mode & FALLOC_FL_KEEP_SIZE) == 0;
  auto send = [&]() -> Task<Result<cache::ServerChange>> {
    if (is_abandoned(call)) co_return Errno(EINTR);
    auto done = co_await inode->io->allocate(file->server_open, mode, offset, length);
    if (!done) co_return done.error();
    co_return cache::ServerChange{clears ? range : ByteRange{}, grows ? range.end : 0};
  };
  Status status = co_await inode->mapping->change_on_server(range, send);
  if (!status) co_return status;
  inode->mtime_shown = false;
  if (grows && !is_abandoned(call)) inode->kernel.reaches(range.end);
  co_return success();
}

Task<Result<std::uint64_t>> Operations::seek(OpenFileRef file, std::uint64_t offset, bool data) {
  auto written = co_await core_.write_back(file->inode);
  if (!written) co_return written.error();
  co_return co_await file->inode->io->seek(file->server_open, offset, data);
}

Task<Result<std::uint64_t>> Operations::copy_range(Call call, OpenFileRef from,
                                                   std::uint64_t from_offset, OpenFileRef to,
                                                   std::uint64_t to_offset, std::uint64_t length) {
  length = std::min(length, kMaxCopyBytes);
  auto written = co_await core_.write_back(from->inode);
  if (!written) co_return written.error();
  InodeRef inode = to->inode;
  const OwnGrowth growth(inode);
  co_await core_.attribute_writeback.write(inode);
  std::uint64_t copied = 0;
  auto send = [&]() -> Task<Result<cache::ServerChange>> {
    if (is_abandoned(call)) co_return Errno(EINTR);
    auto done = co_await inode->io->copy(*from->inode->io, from->server_open, from_offset,
                                         to->server_open, to_offset, length);
    if (!done) co_return done.error();
    copied = done.value();
    const ByteRange range = ByteRange::of(to_offset, copied);
    co_return cache::ServerChange{range, range.empty() ? 0 : range.end};
  };
  const ByteRange target = ByteRange::of(to_offset, length);
  auto status = co_await inode->mapping->change_on_server(target, send);
  if (!status) co_return status.error();
  inode->mtime_shown = false;
  if (copied != 0 && !is_abandoned(call)) inode->kernel.reaches(to_offset + copied);
  co_return copied;
}

}  // namespace foliofs::vfs
