#include "tests/sim/mode_reference.h"

#include <fmt/format.h>

#include <algorithm>

namespace foliofs::sim {

std::optional<std::uint32_t> ModeReference::begin(int client, const std::string& file, Moment now) {
  auto& changes = changes_[file];
  std::uint32_t mode = static_cast<std::uint32_t>(changes.size());
  if (mode >= kAtFirst) ++mode;
  if (mode > 0777) return std::nullopt;
  Change change;
  change.mode = mode;
  change.client = client;
  change.began = now;
  changes.push_back(change);
  return mode;
}

void ModeReference::acknowledge(const std::string& file, std::uint32_t mode, Moment now,
                                TimePoint at) {
  for (Change& change : changes_[file]) {
    if (change.mode != mode) continue;
    change.acknowledged = now;
    change.acknowledged_at = at;
  }
}

void ModeReference::refused(int client, const std::string& file) {
  for (Change& change : changes_[file]) {
    if (change.client == client) change.may_be_lost = true;
  }
}

bool ModeReference::older(const Change& first, const Change& second) const {
  if (first.client < 0) return second.client >= 0;
  if (doubtful_ && first.client != second.client) return false;
  return first.acknowledged < second.began;
}

template <class MustSee>
std::string ModeReference::check(const std::string& file, std::uint32_t mode,
                                 MustSee must_see) const {
  auto known = changes_.find(file);
  if (known == changes_.end()) return mode == kAtFirst ? "" : fmt::format("mode {:o}", mode);
  const auto& changes = known->second;
  const Change at_first;
  auto found = std::find_if(changes.begin(), changes.end(),
                            [&](const Change& change) { return change.mode == mode; });
  if (found == changes.end() && mode != kAtFirst) return fmt::format("mode {:o}", mode);
  const Change& seen = found == changes.end() ? at_first : *found;
  for (const Change& newer : changes) {
    if (newer.may_be_lost || !older(seen, newer) || !must_see(newer)) continue;
    return fmt::format("mode {:o} of {} is older than {:o} that client {} was told of at moment {}",
                       mode, file, newer.mode, newer.client, newer.acknowledged);
  }
  return {};
}

std::string ModeReference::check(int client, const std::string& file, Moment since, TimePoint told,
                                 std::uint32_t mode) const {
  return check(file, mode, [&](const Change& change) {
    if (change.acknowledged >= since) return false;
    return change.client == client || (!doubtful_ && change.acknowledged_at <= told);
  });
}

std::string ModeReference::check_last(const std::string& file, std::uint32_t mode) const {
  return check(file, mode, [](const Change& change) { return change.acknowledged != kNever; });
}

}  // namespace foliofs::sim
