#include "server/filesystem_traits.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdint>

namespace foliofs::server {

namespace {

// Types that <linux/magic.h> does not have.
constexpr std::uint32_t kLustreMagic = 0x0bd00bd0;
constexpr std::uint32_t kGpfsMagic = 0x47504653;
constexpr std::uint32_t kNtfsMagic = 0x5346544e;
constexpr std::uint32_t kNtfs3Magic = 0x7366746e;
constexpr std::uint32_t kHfsMagic = 0x4244;
constexpr std::uint32_t kHfsPlusMagic = 0x482b;

constexpr std::uint32_t kRemote[] = {NFS_SUPER_MAGIC, CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
                                     V9FS_MAGIC,      FUSE_SUPER_MAGIC, CEPH_SUPER_MAGIC,
                                     AFS_SUPER_MAGIC, AFS_FS_MAGIC,     CODA_SUPER_MAGIC,
                                     kLustreMagic,    kGpfsMagic};
constexpr std::uint32_t kIgnoringCase[] = {MSDOS_SUPER_MAGIC, EXFAT_SUPER_MAGIC, HPFS_SUPER_MAGIC,
                                           kNtfsMagic,        kNtfs3Magic,       kHfsMagic,
                                           kHfsPlusMagic};
constexpr std::uint32_t kInMemory[] = {TMPFS_MAGIC, RAMFS_MAGIC};

bool is_one_of(const auto& types, std::uint32_t type) {
  return std::ranges::find(types, type) != std::end(types);
}

}  // namespace

FilesystemTraits filesystem_traits(int fd) {
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0) return {};
  const auto type = static_cast<std::uint32_t>(info.f_type);
  return {is_one_of(kRemote, type), is_one_of(kIgnoringCase, type), is_one_of(kInMemory, type)};
}

}  // namespace foliofs::server
