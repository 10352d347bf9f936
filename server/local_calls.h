// Helpers of the local store for system calls and for what they report. Private to it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <cstdint>

#include "foliofs/base/unix_time.h"
#include "server/change_counts.h"
#include "server/file_id.h"
#include "server/file_store.h"

namespace foliofs::server {

// Sets the thread's umask, and returns the mode to pass to the system call that makes a file in
// `directory`. local_xattrs.cpp.
mode_t apply_umask(int directory, CreationMode mode);

// Clears a file's set-id bits, as far as the server may. Returns whether it has. The thread may act
// as the server afterwards. local_xattrs.cpp.
Result<bool> kill_set_id_bits(int fd);

// statx(2) of the file behind `fd`; any descriptor will do. False with errno.
inline bool look_at(int fd, struct statx& info) {
  return ::statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
                 &info) == 0;
}

// Whether the range fits in a file, whose offsets are signed.
inline bool in_file_range(std::uint64_t offset, std::uint64_t length) {
  return offset <= INT64_MAX && length <= INT64_MAX - offset;
}

// Whether freeing the file's blocks takes long. A smaller file is freed sooner than a thread of the
// pool wakes up.
inline bool holds_much(const struct statx& info) {
  constexpr std::uint64_t kMuch = (1u << 20) / 512;
  return S_ISREG(info.stx_mode) && info.stx_blocks > kMuch;
}

inline std::int64_t to_ns(const struct statx_timestamp& time) {
  return foliofs::to_ns(time.tv_sec, time.tv_nsec);
}

inline ChangeStamp stamp_of(const struct statx& info) {
  return {to_ns(info.stx_ctime), to_ns(info.stx_mtime), info.stx_size};
}

inline FileId id_of(const struct statx& info) {
  const std::uint64_t device = ::makedev(info.stx_dev_major, info.stx_dev_minor);
  return {device, info.stx_ino, (info.stx_mask & STATX_BTIME) != 0 ? to_ns(info.stx_btime) : 0};
}

}  // namespace foliofs::server
