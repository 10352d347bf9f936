// ServerOpen: one open of a file at the server, through which it is read and written.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <memory>

#include "foliofs/base/wait_queue.h"
#include "foliofs/proto/open_flags.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::vfs {

// An open as one of the server's sessions knows it.
struct ServerOpen {
  std::uint64_t id = 0;
  std::uint64_t incarnation = 0;  // of the session that `id` belongs to
  // The flags of open(2) that concern the server; the rest are the kernel's or ours.
  static constexpr int kFlags = O_ACCMODE | proto::kOpenToExecute;
  int flags = 0;  // of those
  Caller opener;  // for opening it again in another session
  // MountCore::logical_time when the open was asked for, and the lease of the file that was held
  // then; 0: none.
  std::uint64_t asked_at = 0;
  std::uint64_t lease = 0;
  bool reopening = false;
  // Somebody else has taken a lock that was held through this open. What was read or written under
  // the lock cannot be relied on, so everything through this open says EIO from then on.
  bool locks_lost = false;
  // Requests under way that name the open. CLOSE waits for them, because the server may take
  // requests in any order.
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
