// LocalStore: changes of a range of a file other than writing bytes from the client at an offset
// (appends, allocation, copies), and the search for data and holes.
#include <linux/falloc.h>
#include <sys/uio.h>

#include "server/change_scope.h"
#include "server/credentials.h"
#include "server/local_calls.h"
#include "server/local_file.h"
#include "server/local_store.h"

namespace foliofs::server {

namespace {

// Appends at the end that the file has at each call, whoever else appends. The descriptor's own
// position tells where that was.
Result<std::uint64_t> append_all(int fd, std::span<const std::byte> data, ChangeScope& scope) {
  std::optional<std::uint64_t> begin;
  while (!begin || !data.empty()) {
    const iovec part{const_cast<std::byte*>(data.data()), data.size()};
    const ssize_t put = ::pwritev2(fd, &part, 1, -1, RWF_APPEND);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return last_errno();
    if (put == 0 && !data.empty()) return Errno(EIO);
    scope.touched();
    const off_t end = ::lseek(fd, 0, SEEK_CUR);
    if (end < 0) return last_errno();
    if (!begin) begin = static_cast<std::uint64_t>(end - put);
    data = data.subspan(static_cast<std::size_t>(put));
  }
  return *begin;
}

}  // namespace

Result<Appended> LocalStore::append(const CallContext& context, OpenFile& file,
                                    std::span<const std::byte> data) {
  auto& local = static_cast<LocalFile&>(file);
  std::unique_lock lock(local.position_mutex(), std::try_to_lock);
  if (!lock && context.waiting == Waiting::kNever) return Errno(EAGAIN);
  if (!lock) lock.lock();
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  ChangeScope change(*this, local.fd(), local.inode(), context);
  BOOST_OUTCOME_TRY(const std::uint64_t offset, append_all(local.fd(), data, change));
  BOOST_OUTCOME_TRY(auto attributes, change.finish(true));
  return Appended{offset, attributes};
}

Result<wire::Attributes> LocalStore::allocate(const CallContext& context, OpenFile& file,
                                              unsigned mode, std::uint64_t offset,
                                              std::uint64_t length) {
  auto& local = static_cast<LocalFile&>(file);
  if (!in_file_range(offset, length)) return Errno(EFBIG);
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  ChangeScope change(*this, local.fd(), local.inode(), context);
  change.touched();  // fallocate(2) does not say how far it got before it failed
  int failed = 0;
  do {
    failed = ::fallocate(local.fd(), static_cast<int>(mode), static_cast<off_t>(offset),
                         static_cast<off_t>(length));
  } while (failed != 0 && errno == EINTR);
  if (failed != 0) return last_errno();
  return change.finish(true);
}

Result<std::uint64_t> LocalStore::seek(const CallContext& context, OpenFile& file,
                                       std::uint64_t offset, bool data) {
  auto& local = static_cast<LocalFile&>(file);
  if (!in_file_range(offset, 0)) return Errno(ENXIO);
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  const std::lock_guard lock(local.position_mutex());
  const off_t found = ::lseek(local.fd(), static_cast<off_t>(offset), data ? SEEK_DATA : SEEK_HOLE);
  if (found < 0) return last_errno();
  return static_cast<std::uint64_t>(found);
}

Result<Copied> LocalStore::copy(const CallContext& context, OpenFile& from,
                                std::uint64_t from_offset, OpenFile& to, std::uint64_t to_offset,
                                std::uint64_t length) {
  auto& source = static_cast<LocalFile&>(from);
  auto& target = static_cast<LocalFile&>(to);
  if (!in_file_range(from_offset, length) || !in_file_range(to_offset, length)) {
    return Errno(EFBIG);
  }
  BOOST_OUTCOME_TRYV(act_as(context.caller));
  ChangeScope change(*this, target.fd(), target.inode(), context);
  auto in = static_cast<off64_t>(from_offset);
  auto out = static_cast<off64_t>(to_offset);
  ssize_t copied = 0;
  do {
    copied = ::copy_file_range(source.fd(), &in, target.fd(), &out, length, 0);
  } while (copied < 0 && errno == EINTR);
  if (copied < 0) return last_errno();
  Copied result;
  result.bytes = static_cast<std::uint64_t>(copied);
  BOOST_OUTCOME_TRY(result.to, change.finish(copied > 0));
  BOOST_OUTCOME_TRY(result.from, attributes_of(context, source, Occasion::kAfterChange));
  return result;
}

}  // namespace foliofs::server
