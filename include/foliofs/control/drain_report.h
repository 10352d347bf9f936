// What is told of a drain, by the command `drain` and to those who watch the end of a mount.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "foliofs/base/result.h"
#include "foliofs/control/command_handler.h"

namespace foliofs::control {

// For vfs::Mount::drain(): tells `progress` {"dirty_bytes"}, ten times a second at most.
std::function<void(std::uint64_t)> drain_progress(Progress progress);

// How a drain ended.
struct DrainReport {
  std::uint64_t dirty_bytes = 0;  // what is left to write
  std::string error;              // "ENOSPC"; empty: none
  std::string text;               // the same for people
};

// {"error", "text", "dirty_bytes"}; without an error the first two are null.
nlohmann::json make_drain_report(const Status& drained, std::uint64_t dirty_bytes);

// Takes what make_drain_report() has made; what is missing is left empty.
DrainReport read_drain_report(const nlohmann::json& report);

}  // namespace foliofs::control
