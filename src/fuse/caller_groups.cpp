#include "caller_groups.h"

#include <fuse_lowlevel.h>

#include <algorithm>

#include "foliofs/base/limits.h"

namespace foliofs::fuse {

namespace {

constexpr auto kBelieved = std::chrono::seconds(1);
constexpr std::size_t kMaxKnown = 1024;

std::vector<std::uint32_t> read_groups(fuse_req_t request) {
  std::vector<gid_t> groups(64);
  int count = fuse_req_getgroups(request, static_cast<int>(groups.size()), groups.data());
  if (count > static_cast<int>(groups.size())) {
    groups.resize(std::min<std::size_t>(static_cast<std::size_t>(count), kMaxGroups));
    count = fuse_req_getgroups(request, static_cast<int>(groups.size()), groups.data());
  }
  groups.resize(
      std::min<std::size_t>(groups.size(), count > 0 ? static_cast<std::size_t>(count) : 0));
  return {groups.begin(), groups.end()};
}

}  // namespace

const std::vector<std::uint32_t>& CallerGroups::of(fuse_req* request) {
  const fuse_ctx* context = fuse_req_ctx(request);
  const auto now = SteadyClock::now();
  if (known_.size() > kMaxKnown) known_.clear();
  Known& known = known_[{context->pid, context->uid, context->gid}];
  if (known.until <= now) {
    // Root gains no rights from its groups.
    known.groups = context->uid == 0 ? std::vector<std::uint32_t>{} : read_groups(request);
    known.until = now + kBelieved;
  }
  return known.groups;
}

}  // namespace foliofs::fuse
