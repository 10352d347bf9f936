#include "fuse_types.h"

#include <random>

#include "foliofs/base/unix_time.h"

namespace foliofs::fuse {

struct stat to_stat(const vfs::Attributes& attributes) {
  struct stat result {};
  result.st_ino = attributes.ino;
  result.st_mode = attributes.mode;
  result.st_nlink = attributes.nlink;
  result.st_uid = attributes.uid;
  result.st_gid = attributes.gid;
  result.st_rdev = attributes.rdev;
  result.st_size = static_cast<off_t>(attributes.size);
  result.st_blocks = static_cast<blkcnt_t>(attributes.blocks);
  result.st_blksize = attributes.blksize;
  result.st_atim = to_timespec(attributes.atime_ns);
  result.st_mtim = to_timespec(attributes.mtime_ns);
  result.st_ctim = to_timespec(attributes.ctime_ns);
  return result;
}

double to_seconds(std::chrono::microseconds timeout_us) {
  return static_cast<double>(timeout_us.count()) / 1e6;
}

fuse_entry_param to_entry(const vfs::Entry& entry) {
  // Node ids start again with each mount. A handle from name_to_handle_at(2) contains the node id
  // and the generation. A random generation keeps a handle from leading to another file after the
  // next mount. The kernel keeps 32 bits of it.
  static const std::uint32_t generation = std::random_device()();
  fuse_entry_param param{};
  param.ino = entry.node;
  param.generation = generation;
  param.entry_timeout = to_seconds(entry.name_timeout_us);
  param.attr_timeout = to_seconds(entry.attribute_timeout_us);
  if (entry.node != 0) param.attr = to_stat(entry.attributes);
  return param;
}

void describe_open(const vfs::OpenedFile& opened, fuse_file_info& info) {
  info.fh = reinterpret_cast<std::uint64_t>(opened.file.get());
  info.keep_cache = opened.keep_cache;
  info.direct_io = opened.direct;
}

}  // namespace foliofs::fuse
