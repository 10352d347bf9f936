// Taking a mount away from the kernel. Knows nothing of daemons and of data that is not written.
#pragma once

#include <string>

namespace foliofs::cli {

enum class Unmount {
  kIfIdle,  // refused while a file is open or somebody's directory is there
  kLazy,    // from the tree at once; it ends when the last user has gone
  kForce,   // as kLazy, and every request that waits fails
};

struct UnmountResult {
  bool done = false;
  bool busy = false;
  std::string text;  // why it is not done
};

// By umount2() as root, through fusermount3 otherwise. May block until the mount's daemon has
// answered what the kernel still has for it: never call it on a thread that the daemon needs.
UnmountResult unmount(const std::string& mount_point, Unmount how);

// Fails every request of the mount, now and from now on, through the FUSE control filesystem.
// False when the mount is not ours, or nobody has mounted that filesystem and we are not root.
bool abort_connection(unsigned minor);

}  // namespace foliofs::cli
