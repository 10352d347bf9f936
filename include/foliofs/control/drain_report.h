// What the command `drain`, and the watchers of a mount that ends, are told about a drain.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "foliofs/base/result.h"
#include "foliofs/control/command_handler.h"

namespace foliofs::control {

// The callback for vfs::Mount::drain(): sends {"dirty_bytes"} to `progress`, at most ten times a
// second.
std::function<void(std::uint64_t)> drain_progress(Progress progress);

// How a drain ended.
struct DrainReport {
  std::uint64_t dirty_bytes = 0;  // not written
  std::string error;              // "ENOSPC"; empty: none
  std::string text;               // `error` as text for people
};

// {"error", "text", "dirty_bytes"}; if there was no error, the first two are null.
nlohmann::json make_drain_report(const Status& drained, std::uint64_t dirty_bytes);

// Reads what make_drain_report() has made. Missing members are left empty.
DrainReport read_drain_report(const nlohmann::json& report);

}  // namespace foliofs::control
