// The requests that the control socket's commands are asked with; what they do, and what comes
// back, is in mount_commands.h.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "foliofs/vfs/mount_options.h"

namespace foliofs::control {

// Of a command that takes nothing: stats, drain, abandon, watch.
nlohmann::json make_request(std::string_view command);

nlohmann::json set_request(std::span<const vfs::OptionPair> options);

// `path` is relative to the root of the mount. `mode` as in invalidate=; empty: the mount's own.
nlohmann::json invalidate_request(std::string_view path, std::string_view mode, bool flush);

}  // namespace foliofs::control
