// The daemon of one mount, from the session with the server to the last byte written after the
// unmount. It owns all objects of the mount; none of them is global.
//
//   starting -> mounted -> draining -> ended
//
// starting: a failure leaves nothing mounted. SIGINT, SIGTERM or SIGHUP end it.
// mounted:  the first of these signals unmounts, lazily if the mount is busy. The second drains
//           and ends the mount although programs still use it.
// draining: dirty data is written; the loss of what cannot be is logged. A further signal gives up.
#pragma once

#include <string>

#include "mount_request.h"

namespace foliofs::cli {

// Is told how the start of the mount ends. Exactly one of the two functions is called, once.
class StartupObserver {
 public:
  virtual ~StartupObserver() = default;
  // False if nobody waits for the mount any more; it is then unmounted again.
  virtual bool ready() = 0;
  virtual void failed(const std::string& why) = 0;  // one line, no newline
};

// Returns when the mount has ended: 0 if all data that was written to it is on the server.
int run_mount_daemon(const MountRequest& request, StartupObserver& observer);

}  // namespace foliofs::cli
