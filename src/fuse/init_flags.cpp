#include "init_flags.h"

#include <linux/fuse.h>

#include <cstring>

namespace foliofs::fuse {

namespace {

// From include/uapi/linux/fuse.h of Linux 6.6, which is newer than the headers of Debian 12.
constexpr std::uint64_t kDirectIoAllowMmap = 1ull << 36;

}  // namespace

void InitFlags::saw_request(const void* request, ssize_t bytes) {
  fuse_in_header header;
  if (bytes < static_cast<ssize_t>(sizeof header)) return;
  std::memcpy(&header, request, sizeof header);
  if (header.opcode != FUSE_INIT) return;
  fuse_init_in init{};
  const auto given = static_cast<std::size_t>(bytes) - sizeof header;
  std::memcpy(&init, static_cast<const char*>(request) + sizeof header,
              given < sizeof init ? given : sizeof init);
  init_unique_ = header.unique;
  offered_ = init.flags;
  if ((init.flags & FUSE_INIT_EXT) != 0) offered_ |= static_cast<std::uint64_t>(init.flags2) << 32;
}

void InitFlags::patch_reply(const iovec* parts, int count) {
  if (init_unique_ == 0 || count < 2) return;
  fuse_out_header header;
  std::memcpy(&header, parts[0].iov_base, sizeof header);
  if (header.unique != init_unique_ || parts[1].iov_len < sizeof(fuse_init_out)) return;
  init_unique_ = 0;
  const bool has_v2 = (offered_ & FUSE_HANDLE_KILLPRIV_V2) != 0;
  const std::uint64_t kill_priv = has_v2 ? FUSE_HANDLE_KILLPRIV_V2 : FUSE_HANDLE_KILLPRIV;
  const std::uint64_t wanted = offered_ & (kill_priv | kDirectIoAllowMmap);
  fuse_init_out init;
  std::memcpy(&init, parts[1].iov_base, sizeof init);
  init.flags |= static_cast<std::uint32_t>(wanted);
  if ((wanted >> 32) != 0) {
    init.flags |= FUSE_INIT_EXT;
    init.flags2 |= static_cast<std::uint32_t>(wanted >> 32);
  }
  std::memcpy(parts[1].iov_base, &init, sizeof init);
}

}  // namespace foliofs::fuse
