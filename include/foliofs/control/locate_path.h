// Resolves a path without touching any foliofs mount.
#pragma once

#include <string>
#include <string_view>

#include "foliofs/base/mount_table.h"
#include "foliofs/base/result.h"

namespace foliofs::control {

// Makes `path` absolute, without "." and "..", and resolves symlinks that lie above a foliofs
// mount. Below the mount point of a foliofs mount, names are taken as they are written. Parts that
// do not exist are kept. Errors: ELOOP; for a relative path the errno of getcwd().
Result<std::string> locate_path(const MountTable& table, std::string_view path);

}  // namespace foliofs::control
