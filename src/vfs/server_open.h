// ServerOpen: one open of a file at the server, through which it is read and written.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <memory>

#include "foliofs/base/wait_queue.h"
#include "foliofs/proto/open_flags.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::vfs {

// As one of the server's sessions knows it.
struct ServerOpen {
  std::uint64_t id = 0;
  std::uint64_t incarnation = 0;  // of the session that `id` belongs to
  // What of open(2)'s flags concerns the server; the rest is the kernel's or ours.
  static constexpr int kFlags = O_ACCMODE | proto::kOpenToExecute;
  int flags = 0;  // of those
  Caller opener;  // for opening it again in another session
  // What MountCore::logical_time was when it was asked for, and the lease of the file that was held
  // then; 0: none.
  std::uint64_t asked_at = 0;
  std::uint64_t lease = 0;
  bool reopening = false;
  // Somebody else has taken a lock that was held through it: what was read or written under it
  // cannot be relied on, and everything through this open says EIO from then on.
  bool locks_lost = false;
  // Requests under way that name it: the server may take them in any order, so CLOSE waits for
  // them.
  std::uint32_t requests = 0;
  WaitQueue requests_ended;

  bool readable() const { return (flags & O_ACCMODE) != O_WRONLY; }
  bool writable() const { return (flags & O_ACCMODE) != O_RDONLY; }
};

// One request that names an open, for as long as it is under way.
class ServerOpenRequest {
 public:
  explicit ServerOpenRequest(std::shared_ptr<ServerOpen> open) : open_(std::move(open)) {
    ++open_->requests;
  }
  ~ServerOpenRequest() {
    if (--open_->requests == 0) open_->requests_ended.wake_all();
  }
  ServerOpenRequest(const ServerOpenRequest&) = delete;
  ServerOpenRequest& operator=(const ServerOpenRequest&) = delete;

 private:
  const std::shared_ptr<ServerOpen> open_;
};

}  // namespace foliofs::vfs
