// The kernel's table of mounts. It is read without touching any mount: one whose server or daemon
// is away makes every stat() of it wait.
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
  std::string device;  // "0:45", as the control socket is named
  unsigned minor = 0;  // also the number of the FUSE connection below /sys/fs/fuse/connections
  std::string mount_point;
  std::string type;                  // "fuse.foliofs"
  std::string source;                // "host:/export"
  std::vector<std::string> options;  // of the mount, then of the filesystem
  uid_t owner = 0;                   // who mounted it (FUSE's user_id)

  bool is_foliofs() const { return type == "fuse.foliofs"; }
};

// In the order of mounting: of two entries with one mount point, the later covers the earlier.
using MountTable = std::vector<MountEntry>;

// Lines that are not of the kernel's form are left out.
MountTable parse_mount_table(std::string_view mountinfo);

// This process' own. The errno of reading /proc/self/mountinfo.
Result<MountTable> read_mount_table();

// What is mounted at exactly `path` (absolute, normalised), or nullptr. Points into `table`.
const MountEntry* find_mount_point(const MountTable& table, std::string_view path);

// The mount that `path` (absolute, normalised) lies on, or nullptr. Points into `table`.
const MountEntry* find_covering(const MountTable& table, std::string_view path);

// Whether something is mounted on a mount of `device`, of which there are several when it is bound
// elsewhere too.
bool has_submounts(const MountTable& table, std::string_view device);

}  // namespace foliofs
