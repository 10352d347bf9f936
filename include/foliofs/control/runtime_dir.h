// The directory where the daemons of a user keep their control sockets and logs.
//
// For root: /run/foliofs. For other users: $XDG_RUNTIME_DIR/foliofs, else /run/user/UID/foliofs,
// else /tmp/foliofs-UID. It always has mode 0700 and belongs to the user.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "foliofs/base/refusal.h"

namespace foliofs::control {

// The directory of this process's user, made if it is missing. Refused if the path is taken by
// anything but a directory that belongs to the user and that only the user can enter.
RefusalOr<std::string> make_runtime_dir();

// The paths where the control socket of a mount may be, the likeliest first. `device` as in
// MountEntry.
std::vector<std::string> socket_candidates(uid_t owner, std::string_view device);

// The path of the control socket in a directory that make_runtime_dir() has returned.
std::string socket_path(std::string_view runtime_dir, std::string_view device);

}  // namespace foliofs::control
