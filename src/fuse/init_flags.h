// INIT flags that libfuse 3.14 does not know, set in the INIT reply on its way to the kernel.
//
// | flag                        | Linux | what it gives                                         |
// |-----------------------------|-------|-------------------------------------------------------|
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

  // MAP_SHARED works on files that bypass the kernel's cache.
  bool direct_io_allows_mmap() const { return direct_io_allows_mmap_; }

 private:
  std::uint64_t init_unique_ = 0;
  std::uint64_t offered_ = 0;
  bool direct_io_allows_mmap_ = false;
};

}  // namespace foliofs::fuse
