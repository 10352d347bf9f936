#include "request.h"

#include <fcntl.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>

#include "foliofs/base/lock_ranges.h"
#include "fuse_types.h"
#include "pending_signals.h"

namespace foliofs::fuse {

namespace {

// After an interrupt we wait this long before we check whether the request may be given up, and
// again between checks.
constexpr auto kGrace = std::chrono::seconds(1);

}  // namespace

FuseContext& context_of(fuse_req_t request) {
  return *static_cast<FuseContext*>(fuse_req_userdata(request));
}

vfs::Caller caller_of(FuseContext& context, fuse_req_t request) {
  const fuse_ctx* caller = fuse_req_ctx(request);
  return {caller->uid, caller->gid, context.groups.of(request)};
}

void start(const RequestRef& request, Task<void> task) {
  spawn(request->context().executor, "request", std::move(task));
}

vfs::OpenFile* file_of(const fuse_file_info* info) {
  return reinterpret_cast<vfs::OpenFile*>(info->fh);
}

vfs::OpenFileRef hold(const fuse_file_info* info) {
  return info == nullptr ? nullptr : vfs::Operations::hold(file_of(info));
}

std::shared_ptr<Request> Request::make(fuse_req_t request) {
  auto made = std::make_shared<Request>(request, context_of(request));
  fuse_req_interrupt_func(request, &Request::interrupted, made.get());
  return made;
}

Request::Request(fuse_req_t request, FuseContext& context) : context_(context), request_(request) {}

vfs::Call Request::call() {
  vfs::Call call;
  if (!answered_) {
    const fuse_ctx* caller = fuse_req_ctx(request_);
    call.caller = caller_of(context_, request_);
    call.umask = caller->umask;
    call.thread = caller->pid;
  }
  call.abandoned = [self = shared_from_this()] {
    return self->answered_;
  };
  return call;
}

void Request::interrupted(fuse_req_t, void* self) {
  auto* request = static_cast<Request*>(self);
  // If the interrupt overtook the request, libfuse calls this from make().
  if (request->interrupted_) return;
  request->interrupted_ = true;
  if (auto interrupt = std::exchange(request->on_interrupt_, nullptr)) interrupt();
  auto reference = request->weak_from_this().lock();
  if (reference) spawn(request->context_.executor, "interrupt", give_up_later(reference));
}

void Request::on_interrupt(std::function<void()> interrupt) {
  if (interrupted_) return interrupt();
  on_interrupt_ = std::move(interrupt);
}

Task<void> Request::give_up_later(std::shared_ptr<Request> request) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  while (!request->answered_) {
    timer.expires_after(kGrace);
    boost::system::error_code ignored;
    co_await timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    if (request->answered_) co_return;
    const bool give_up = request->operations().server_is_away() ||
                         fatal_signal_pending(fuse_req_ctx(request->request_)->pid);
    if (give_up) request->reply(Errno(EINTR));
  }
}

fuse_req_t Request::take() {
  if (answered_) return nullptr;
  answered_ = true;
  return request_;
}

bool Request::reply(Errno error) {
  fuse_req_t request = take();
  return request != nullptr && fuse_reply_err(request, error.value()) == 0;
}

bool Request::reply(const Status& status) {
  fuse_req_t request = take();
  return request != nullptr && fuse_reply_err(request, status ? 0 : status.error().value()) == 0;
}

bool Request::reply_entry(const vfs::Entry& entry) {
  fuse_req_t request = take();
  const fuse_entry_param param = to_entry(entry);
  return request != nullptr && fuse_reply_entry(request, &param) == 0;
}

bool Request::reply_attributes(const vfs::Attributes& attributes,
                               std::chrono::microseconds timeout_us) {
  fuse_req_t request = take();
  const struct stat stat = to_stat(attributes);
  return request != nullptr && fuse_reply_attr(request, &stat, to_seconds(timeout_us)) == 0;
}

bool Request::reply_open(const vfs::OpenedFile& opened, fuse_file_info info) {
  fuse_req_t request = take();
  describe_open(opened, info);
  return request != nullptr && fuse_reply_open(request, &info) == 0;
}

bool Request::reply_open_directory(const vfs::OpenedDirectory& opened, fuse_file_info info) {
  fuse_req_t request = take();
  info.cache_readdir = opened.cache_listing;
  info.keep_cache = opened.keep_listing;
  return request != nullptr && fuse_reply_open(request, &info) == 0;
}

bool Request::reply_create(const vfs::CreatedFile& created, fuse_file_info info) {
  fuse_req_t request = take();
  describe_open(created.opened, info);
  const fuse_entry_param param = to_entry(created.entry);
  return request != nullptr && fuse_reply_create(request, &param, &info) == 0;
}

bool Request::reply_data(const cache::ReadResult& result) {
  fuse_req_t request = take();
  if (request == nullptr) return false;
  return fuse_reply_iov(request, result.parts.data(), static_cast<int>(result.parts.size())) == 0;
}

bool Request::reply_bytes(const void* data, std::size_t bytes) {
  fuse_req_t request = take();
  return request != nullptr && fuse_reply_buf(request, static_cast<const char*>(data), bytes) == 0;
}

bool Request::reply_written(std::size_t bytes) {
  fuse_req_t request = take();
  return request != nullptr && fuse_reply_write(request, bytes) == 0;
}

bool Request::reply_xattr_size(std::size_t bytes) {
  fuse_req_t request = take();
  return request != nullptr && fuse_reply_xattr(request, bytes) == 0;
}

bool Request::reply_offset(std::uint64_t offset) {
  fuse_req_t request = take();
  return request != nullptr && fuse_reply_lseek(request, static_cast<off_t>(offset)) == 0;
}

bool Request::reply_statfs(const vfs::FilesystemStats& stats) {
  struct statvfs result {};
  result.f_bsize = stats.block_size;
  result.f_frsize = stats.fragment_size;
  result.f_blocks = stats.blocks;
  result.f_bfree = stats.blocks_free;
  result.f_bavail = stats.blocks_available;
  result.f_files = stats.files;
  result.f_ffree = stats.files_free;
  result.f_favail = stats.files_free;
  result.f_namemax = stats.name_max;
  fuse_req_t request = take();
  return request != nullptr && fuse_reply_statfs(request, &result) == 0;
}

bool Request::reply_link(const std::string& target) {
  fuse_req_t request = take();
  return request != nullptr && fuse_reply_readlink(request, target.c_str()) == 0;
}

bool Request::reply_lock(const vfs::FileLock& lock) {
  struct flock result {};
  result.l_type = static_cast<short>(lock.type);
  result.l_whence = SEEK_SET;
  if (lock.type != F_UNLCK) {
    const bool to_the_end = lock.end == kLastLockByte;
    result.l_start = static_cast<off_t>(lock.start);
    result.l_len = to_the_end ? 0 : static_cast<off_t>(lock.end - lock.start + 1);
    result.l_pid = static_cast<pid_t>(lock.pid);
  }
  fuse_req_t request = take();
  return request != nullptr && fuse_reply_lock(request, &result) == 0;
}

}  // namespace foliofs::fuse
