// The kernel's table of mounts. It is read without touching any mount, because stat() blocks on a
// mount whose server or daemon is away.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "foliofs/base/result.h"

namespace foliofs {

// One line of /proc/self/mountinfo.
struct MountEntry {
  int id = 0;
  int parent_id = 0;   // of the mount that this one is on
  std::string device;  // "0:45"; the control socket has this name
  unsigned minor = 0;  // also the number of the FUSE connection below /sys/fs/fuse/connections
  std::string mount_point;
  std::string type;                  // "fuse.foliofs"
  std::string source;                // "host:/export"
  std::vector<std::string> options;  // of the mount, then of the filesystem
  uid_t owner = 0;                   // the user who mounted it (FUSE's user_id)

  bool is_foliofs() const { return type == "fuse.foliofs"; }
};

// In the order of mounting: of two entries with one mount point, the later covers the earlier.
using MountTable = std::vector<MountEntry>;

// Skips lines that do not have the kernel's format.
MountTable parse_mount_table(std::string_view mountinfo);

// The mounts that this process sees, or the errno of reading /proc/self/mountinfo.
Result<MountTable> read_mount_table();

// What is mounted at exactly `path` (absolute, normalised), or nullptr. Points into `table`.
const MountEntry* find_mount_point(const MountTable& table, std::string_view path);

// The mount that `path` (absolute, normalised) lies on, or nullptr. Points into `table`.
const MountEntry* find_covering(const MountTable& table, std::string_view path);

// Whether something is mounted on a mount of `device`. A device has several mounts if it is
// bind-mounted elsewhere too.
bool has_submounts(const MountTable& table, std::string_view device);

}  // namespace foliofs
