// INIT flags that libfuse 3.14 does not know or does not pass on, set in the INIT reply on its way
// to the kernel.
//
// | flag                        | Linux | what it gives                                         |
// |-----------------------------|-------|-------------------------------------------------------|
// | FUSE_HANDLE_KILLPRIV        | 4.9   | the server takes set-id bits away, as its kernel does |
// | FUSE_HANDLE_KILLPRIV_V2     | 5.11  | the same where the kernel says so, and no GETXATTR of |
// |                             |       | security.capability before each write; replaces it    |
// | FUSE_DIRECT_IO_ALLOW_MMAP   | 6.6   | MAP_SHARED of files opened with FOPEN_DIRECT_IO       |
//
// A flag is set only if the kernel has offered it. fuse_session_custom_io() lets us see both ways.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>

namespace foliofs::fuse {

class InitFlags {
 public:
  // Looks at a request that came from the kernel.
  void saw_request(const void* request, ssize_t bytes);

  // Changes the reply, if it is the one to INIT.
  void patch_reply(const iovec* parts, int count);

 private:
  std::uint64_t init_unique_ = 0;
  std::uint64_t offered_ = 0;
};

}  // namespace foliofs::fuse
