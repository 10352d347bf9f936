// INIT flags that libfuse 3.14 does not know or does not pass on. We set them in the INIT reply on
// its way to the kernel.
//
// | flag                        | Linux | what it gives                                         |
// |-----------------------------|-------|-------------------------------------------------------|
// | FUSE_HANDLE_KILLPRIV        | 4.9   | the server clears set-id bits, as its kernel does     |
// | FUSE_HANDLE_KILLPRIV_V2     | 5.11  | replaces it: the server clears them when our kernel   |
// |                             |       | says so; no GETXATTR of security.capability           |
// |                             |       | before each write                                     |
// | FUSE_DIRECT_IO_ALLOW_MMAP   | 6.6   | MAP_SHARED of files opened with FOPEN_DIRECT_IO       |
//
// We set a flag only if the kernel has offered it. fuse_session_custom_io() lets us see both the
// request and the reply.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>

namespace foliofs::fuse {

class InitFlags {
 public:
  // Remembers what the kernel offers if `request` is INIT.
  void saw_request(const void* request, ssize_t bytes);

  // Sets the flags if this is the reply to INIT.
  void patch_reply(const iovec* parts, int count);

 private:
  std::uint64_t init_unique_ = 0;
  std::uint64_t offered_ = 0;
};

}  // namespace foliofs::fuse
