// The reports of the control socket about a mount, as JSON. The keys are an interface for scripts:
// docs/OPERATIONS.md lists them, and keys are only ever added.
#pragma once

#include <nlohmann/json.hpp>

#include "foliofs/cache/invalidate.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::control {

nlohmann::json invalidate_json(const cache::InvalidateReport& report);

// Everything in `foliofs stats` except `version`, `pid` and `server`.
nlohmann::json stats_json(const vfs::MountStats& stats, std::chrono::microseconds silent_us,
                          const vfs::MountOptions& options);

}  // namespace foliofs::control
