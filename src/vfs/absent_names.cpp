#include "absent_names.h"

#include <boost/container_hash/hash.hpp>
#include <utility>

namespace foliofs::vfs {

std::size_t AbsentNames::Hash::operator()(const KernelName& name) const {
  std::size_t hash = boost::hash_value(name.name);
  boost::hash_combine(hash, name.parent_id);
  return hash;
}

bool AbsentNames::add(KernelName name, TimePoint now, TimePoint until) {
  auto& by_time = told_.get<1>();
  while (!by_time.empty() && by_time.front().until <= now) by_time.pop_front();
  remove(name);
  if (told_.size() >= kMost) return false;
  told_.insert({std::move(name), until});
  return true;
}

bool AbsentNames::remove(const KernelName& name) {
  return told_.erase(name) != 0;
}

std::vector<KernelName> AbsentNames::take_all() {
  std::vector<KernelName> names;
  names.reserve(told_.size());
  for (const Told& told : told_.get<1>()) names.push_back(told.name);
  told_.clear();
  return names;
}

}  // namespace foliofs::vfs
