// Request: one request from the kernel that is not answered at once. It is answered exactly once:
// with its outcome, or with EINTR if its caller was interrupted and either the caller is being
// killed or the server is away. Programs do not expect EINTR from most calls, so a signal that they
// handle does not end a call that the server is only slow to answer.
//
// The reply_* functions return false if the outcome did not reach the kernel. The coroutine then
// gives back what came with it (a reference to a node, an open file).
#pragma once

#include <fuse_lowlevel.h>

#include <functional>
#include <memory>

#include "foliofs/vfs/operations.h"
#include "fuse_context.h"

namespace foliofs::fuse {

class Request : public std::enable_shared_from_this<Request> {
 public:
  static std::shared_ptr<Request> make(fuse_req_t request);

  FuseContext& context() { return context_; }
  vfs::Operations& operations() { return context_.mount->operations(); }
  // The caller, for vfs; empty once the request has been answered.
  vfs::Call call();
  bool answered() const { return answered_; }
  // Calls `interrupt` once, when the caller gets a signal or at once if it already has. For calls
  // that any signal ends, such as a wait for a lock. `interrupt` must see to it that the request is
  // answered.
  void on_interrupt(std::function<void()> interrupt);

  bool reply(Errno error);
  bool reply(const Status& status);  // success or error, without a value
  bool reply_entry(const vfs::Entry& entry);
  bool reply_attributes(const vfs::Attributes& attributes, std::chrono::microseconds timeout_us);
  bool reply_open(const vfs::OpenedFile& opened, fuse_file_info info);
  bool reply_open_directory(const vfs::OpenedDirectory& opened, fuse_file_info info);
  bool reply_create(const vfs::CreatedFile& created, fuse_file_info info);
  bool reply_data(const cache::ReadResult& result);
  bool reply_bytes(const void* data, std::size_t bytes);
  bool reply_written(std::size_t bytes);
  bool reply_offset(std::uint64_t offset);
  bool reply_xattr_size(std::size_t bytes);
  bool reply_statfs(const vfs::FilesystemStats& stats);
  bool reply_link(const std::string& target);
  bool reply_lock(const vfs::FileLock& lock);

  Request(fuse_req_t request, FuseContext& context);

 private:
  static void interrupted(fuse_req_t request, void* self);
  static Task<void> give_up_later(std::shared_ptr<Request> request);
  // Marks the request as answered and returns it; nullptr if it was answered already.
  fuse_req_t take();

  FuseContext& context_;
  fuse_req_t request_;
  bool answered_ = false;
  bool interrupted_ = false;
  std::function<void()> on_interrupt_;
};

using RequestRef = std::shared_ptr<Request>;

// Starts `task`, the coroutine that goes on with `request`.
void start(const RequestRef& request, Task<void> task);

FuseContext& context_of(fuse_req_t request);
vfs::Caller caller_of(FuseContext& context, fuse_req_t request);

// The open file of a call.
vfs::OpenFile* file_of(const fuse_file_info* info);
// The same with a reference, for a call that goes on as a coroutine: once its caller has been
// answered with EINTR, the kernel may release the file. nullptr for nullptr.
vfs::OpenFileRef hold(const fuse_file_info* info);

}  // namespace foliofs::fuse
