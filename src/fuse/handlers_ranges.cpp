// The handlers of operations on ranges of open files: allocation, search for data and holes,
// copies.
#include <unistd.h>

#include "handlers.h"
#include "request.h"

namespace foliofs::fuse {

namespace {

Task<void> run_fallocate(RequestRef request, vfs::OpenFileRef file, std::uint32_t mode,
                         std::uint64_t offset, std::uint64_t length) {
  request->reply(
      co_await request->operations().allocate(request->call(), file, mode, offset, length));
}
void on_fallocate(fuse_req_t req, fuse_ino_t, int mode, off_t offset, off_t length,
                  fuse_file_info* info) {
  auto request = Request::make(req);
  start(request,
        run_fallocate(request, hold(info), static_cast<std::uint32_t>(mode),
                      static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length)));
}

// The kernel sends only SEEK_DATA and SEEK_HOLE.
Task<void> run_lseek(RequestRef request, vfs::OpenFileRef file, std::uint64_t offset, bool data) {
  auto found = co_await request->operations().seek(file, offset, data);
  found ? request->reply_offset(found.value()) : request->reply(found.error());
}
void on_lseek(fuse_req_t req, fuse_ino_t, off_t offset, int whence, fuse_file_info* info) {
  auto request = Request::make(req);
  start(request,
        run_lseek(request, hold(info), static_cast<std::uint64_t>(offset), whence == SEEK_DATA));
}

Task<void> run_copy_file_range(RequestRef request, vfs::OpenFileRef from, std::uint64_t from_offset,
                               vfs::OpenFileRef to, std::uint64_t to_offset, std::uint64_t length) {
  auto copied = co_await request->operations().copy_range(request->call(), from, from_offset, to,
                                                          to_offset, length);
  copied ? request->reply_written(copied.value()) : request->reply(copied.error());
}
void on_copy_file_range(fuse_req_t req, fuse_ino_t, off_t from_offset, fuse_file_info* from,
                        fuse_ino_t, off_t to_offset, fuse_file_info* to, std::size_t length, int) {
  auto request = Request::make(req);
  start(request, run_copy_file_range(request, hold(from), static_cast<std::uint64_t>(from_offset),
                                     hold(to), static_cast<std::uint64_t>(to_offset), length));
}

}  // namespace

void add_range_handlers(fuse_lowlevel_ops& handlers) {
  handlers.fallocate = on_fallocate;
  handlers.lseek = on_lseek;
  handlers.copy_file_range = on_copy_file_range;
}

}  // namespace foliofs::fuse
