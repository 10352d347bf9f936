// The daemon of one mount, from the session with the server to the last byte written after the
// unmount. It owns everything that a mount is made of; nothing of it is global.
//
//   starting -> mounted -> draining -> ended
//
// starting: a failure leaves nothing mounted. SIGINT, SIGTERM or SIGHUP end it.
// mounted:  the first of these signals unmounts, lazily when the mount is busy. The second drains
//           and ends the mount for those who still use it.
// draining: what is dirty is written; what cannot be is logged. A further signal gives it up.
#pragma once

#include <string>

#include "mount_request.h"

namespace foliofs::cli {

// Whoever waits for the mount to be there. Exactly one of the two is called, once.
class StartupObserver {
 public:
  virtual ~StartupObserver() = default;
  // False when nobody waits any more; the mount is then taken away again.
  virtual bool ready() = 0;
  virtual void failed(const std::string& why) = 0;  // one line, no newline
};

// Returns when the mount has ended: 0 when all that was written to it is on the server.
int run_mount_daemon(const MountRequest& request, StartupObserver& observer);

}  // namespace foliofs::cli
