#include "foliofs/control/drain_report.h"

#include <chrono>
#include <utility>

#include "foliofs/control/json_members.h"

namespace foliofs::control {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr auto kProgressInterval = std::chrono::milliseconds(100);

}  // namespace

std::function<void(std::uint64_t)> drain_progress(Progress progress) {
  return [progress = std::move(progress), next = Clock::now()](std::uint64_t dirty_bytes) mutable {
    const auto now = Clock::now();
    if (now < next) return;
    next = now + kProgressInterval;
    json state = json::object();
    state["dirty_bytes"] = dirty_bytes;
    progress(state);
  };
}

json make_drain_report(const Status& drained, std::uint64_t dirty_bytes) {
  json report = json::object();
  report["error"] = drained ? json() : json(errno_name(drained.error()));
  report["text"] = drained ? json() : json(errno_text(drained.error()));
  report["dirty_bytes"] = dirty_bytes;
  return report;
}

DrainReport read_drain_report(const json& report) {
  return {number_member(report, "dirty_bytes"), text_member(report, "error"),
          text_member(report, "text")};
}

}  // namespace foliofs::control
