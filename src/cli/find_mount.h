// Finds the foliofs mount that a person means by a path, without touching the mount.
#pragma once

#include <string>

#include "foliofs/base/mount_table.h"
#include "foliofs/base/refusal.h"

namespace foliofs::cli {

struct PathOnMount {
  MountEntry mount;
  std::string path;  // relative to the root of the mount
};

// The foliofs mount whose mount point is `path`.
RefusalOr<MountEntry> find_mount(const std::string& path);

// The foliofs mount on which `path` lies.
RefusalOr<PathOnMount> find_path_on_mount(const std::string& path);

}  // namespace foliofs::cli
