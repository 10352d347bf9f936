// What is told of a drain, by the command `drain` and to those who watch the end of a mount.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>

#include "foliofs/base/result.h"
#include "foliofs/control/command_handler.h"

namespace foliofs::control {

// For vfs::Mount::drain(): tells `progress` {"dirty_bytes"}, ten times a second at most.
std::function<void(std::uint64_t)> drain_progress(Progress progress);

// {"error", "text", "dirty_bytes"}: how it ended, with null for both if it did well, and what is
// left to write.
nlohmann::json drain_report(const Status& drained, std::uint64_t dirty_bytes);

}  // namespace foliofs::control
