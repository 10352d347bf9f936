// The kernel's own file handles (name_to_handle_at(2)). Private to the code that makes or opens
// them.
#pragma once

#include <fcntl.h>

#include <cerrno>
#include <string_view>
#include <thread>

#include "foliofs/base/result.h"

namespace foliofs::server {

// struct file_handle with room for the longest handle.
union KernelHandle {
  struct file_handle handle;
  char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];

  // The struct including its f_handle.
  std::string_view bytes() const {
    return {room, sizeof(struct file_handle) + handle.handle_bytes};
  }
};

// name_to_handle_at(2) of the file that `fd` refers to; any descriptor will do.
inline Result<KernelHandle> kernel_handle_of(int fd) {
  KernelHandle kernel{};
  kernel.handle.handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;  // unused, but the kernel requires it
  if (::name_to_handle_at(fd, "", &kernel.handle, &mount_id, AT_EMPTY_PATH) != 0) {
    return last_errno();
  }
  return kernel;
}

// open_by_handle_at(2): a descriptor, or -1 with errno. ENOMEM may mean that the number of a
// deleted inode is just being given to a new file: iget_locked() fails while I_CREATING is set. A
// moment later the error is ESTALE, as it should be, so this tries again.
inline int open_by_kernel_handle(int mount, KernelHandle& kernel, int flags) {
  constexpr int kMoments = 100;
  int fd = -1;
  for (int moment = 0; fd < 0 && moment < kMoments; ++moment) {
    fd = ::open_by_handle_at(mount, &kernel.handle, flags);
    if (fd < 0 && errno != ENOMEM) break;
    if (fd < 0) std::this_thread::yield();
  }
  return fd;
}

}  // namespace foliofs::server
