// What the control socket says of a mount, as JSON. The keys are an interface for scripts: they are
// in docs/OPERATIONS.md and only ever added to.
#pragma once

#include <nlohmann/json.hpp>

#include "foliofs/cache/invalidate.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::control {

nlohmann::json invalidate_json(const cache::InvalidateReport& report);

// All of `foliofs stats` but for `version`, `pid` and `server`.
nlohmann::json stats_json(const vfs::MountStats& stats, std::chrono::microseconds silent_us,
                          const vfs::MountOptions& options);

}  // namespace foliofs::control
