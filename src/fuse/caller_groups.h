// Caches the supplementary groups of callers for a second: libfuse finds them by reading /proc,
// which costs as much as a whole request.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

struct fuse_req;

namespace foliofs::fuse {

class CallerGroups {
 public:
  // The groups of the process that made `request`. If a process changes its groups, that takes
  // effect within a second.
  const std::vector<std::uint32_t>& of(fuse_req* request);

 private:
  using SteadyClock = std::chrono::steady_clock;
  struct Known {
    std::vector<std::uint32_t> groups;
    SteadyClock::time_point until;
  };
  std::map<std::tuple<pid_t, uid_t, gid_t>, Known> known_;
};

}  // namespace foliofs::fuse
