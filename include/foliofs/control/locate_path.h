// What a path means, found out without touching any foliofs mount.
#pragma once

#include <string>
#include <string_view>

#include "foliofs/base/mount_table.h"
#include "foliofs/base/result.h"

namespace foliofs::control {

// `path` as an absolute path without ".", ".." and without symlinks, as far as these lie above a
// foliofs mount; from its mount point on the text is taken as it is. Parts that do not exist are
// kept. ELOOP, and the errno of getcwd() for a relative path.
Result<std::string> locate_path(const MountTable& table, std::string_view path);

}  // namespace foliofs::control
