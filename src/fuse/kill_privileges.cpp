#include "kill_privileges.h"

#include <linux/fuse.h>

#include <cstring>

namespace foliofs::fuse {

bool kills_privileges(const void* request, ssize_t bytes) {
  fuse_in_header header;
  if (bytes < static_cast<ssize_t>(sizeof header)) return false;
  std::memcpy(&header, request, sizeof header);
  const char* body = static_cast<const char*>(request) + sizeof header;
  const auto body_bytes = static_cast<std::size_t>(bytes) - sizeof header;
  if (header.opcode == FUSE_WRITE && body_bytes >= sizeof(fuse_write_in)) {
    fuse_write_in write;
    std::memcpy(&write, body, sizeof write);
    return (write.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
  }
  if (header.opcode == FUSE_SETATTR && body_bytes >= sizeof(fuse_setattr_in)) {
    fuse_setattr_in change;
    std::memcpy(&change, body, sizeof change);
    return (change.valid & FATTR_SIZE) != 0 && (change.valid & FATTR_KILL_SUIDGID) != 0;
  }
  return false;
}

}  // namespace foliofs::fuse
