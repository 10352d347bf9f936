// Formats the reports of the control socket for people; report_json.h makes their JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "foliofs/base/mount_table.h"

namespace foliofs::cli {

// A member that is missing in `stats` or has another type is shown as 0 or left empty.
std::string stats_text(const MountEntry& mount, const nlohmann::json& stats);

std::string invalidate_text(const std::string& path, const nlohmann::json& report);

}  // namespace foliofs::cli
