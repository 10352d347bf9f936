// Makes the requests of the control socket's commands. mount_commands.h says what the commands do
// and what they return.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "foliofs/vfs/mount_options.h"

namespace foliofs::control {

// A command without arguments: stats, drain, abandon, watch.
nlohmann::json make_request(std::string_view command);

nlohmann::json set_request(std::span<const vfs::OptionPair> options);

// `path` is relative to the root of the mount. `mode` as in invalidate=; if empty, the mount's own.
nlohmann::json invalidate_request(std::string_view path, std::string_view mode, bool flush);

}  // namespace foliofs::control
