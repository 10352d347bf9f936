// Where the daemons of a user keep their control sockets and logs.
//
// root: /run/foliofs. Others: $XDG_RUNTIME_DIR/foliofs, else /run/user/UID/foliofs, else
// /tmp/foliofs-UID. Always mode 0700 and the user's own.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "foliofs/base/refusal.h"

namespace foliofs::control {

// The directory of this process' user, made if it is missing. Refused when something that is not
// the user's own private directory has its name.
RefusalOr<std::string> make_runtime_dir();

// Where the control socket of a mount may be, the likeliest first. `device` as in MountEntry.
std::vector<std::string> socket_candidates(uid_t owner, std::string_view device);

// The socket's path in a directory that make_runtime_dir() has returned.
std::string socket_path(std::string_view runtime_dir, std::string_view device);

}  // namespace foliofs::control
