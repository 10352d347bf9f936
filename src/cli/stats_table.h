// The answers of the control socket as text for people; report_json.h has their JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "foliofs/base/mount_table.h"

namespace foliofs::cli {

// Whatever is missing in `stats` or is of another kind is shown as 0 or left empty.
std::string stats_text(const MountEntry& mount, const nlohmann::json& stats);

std::string invalidate_text(const std::string& path, const nlohmann::json& report);

}  // namespace foliofs::cli
