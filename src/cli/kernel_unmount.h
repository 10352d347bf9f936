// Unmounts in the kernel. Knows nothing of daemons, nor of data that is not written yet.
#pragma once

#include <string>

namespace foliofs::cli {

enum class Unmount {
  kIfIdle,  // refused while a process has a file open or its directory there
  kLazy,    // leaves the tree at once; ends when the last user has gone
  kForce,   // as kLazy, and every request that waits fails
};

struct UnmountResult {
  bool done = false;
  bool busy = false;
  std::string text;  // why it is not done
};

// Uses umount2() as root, fusermount3 otherwise. May block until the mount's daemon has answered
// the kernel's remaining requests, so never call it on a thread that the daemon needs for that.
UnmountResult unmount(const std::string& mount_point, Unmount how);

// Aborts the connection through the FUSE control filesystem: every present and future request of
// the mount fails. False if the mount belongs to another user, or if the control filesystem is not
// mounted and we are not root.
bool abort_connection(unsigned minor);

}  // namespace foliofs::cli
