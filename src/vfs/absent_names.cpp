#include "absent_names.h"

#include <utility>

#include "mount_core.h"

namespace foliofs::vfs {

std::size_t AbsentNames::Hash::operator()(const KernelName& name) const {
  return name_key(name.parent_id, name.name);
}

std::optional<KernelName> AbsentNames::told(KernelName name, TimePoint now) {
  auto& by_time = told_.get<1>();
  auto [known, is_new] = told_.insert({std::move(name), now});
  if (!is_new) {
    told_.modify(known, [now](Told& told) { told.at = now; });
    by_time.relocate(by_time.end(), told_.project<1>(known));
  }
  if (told_.size() <= most_) return std::nullopt;
  KernelName oldest = by_time.front().name;
  by_time.pop_front();
  return oldest;
}

std::optional<TimePoint> AbsentNames::when_told(const KernelName& name) const {
  const auto known = told_.find(name);
  if (known == told_.end()) return std::nullopt;
  return known->at;
}

std::vector<KernelName> AbsentNames::take_all() {
  std::vector<KernelName> names;
  names.reserve(told_.size());
  for (const Told& told : told_.get<1>()) names.push_back(told.name);
  told_.clear();
  return names;
}

}  // namespace foliofs::vfs
