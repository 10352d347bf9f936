// The subcommands that ask a mount's daemon: set, invalidate, stats; and mounts, which needs no
// daemon. Each returns the exit status and has written any error to stderr.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace foliofs::cli {

int run_set(const std::string& mount_point, const std::vector<std::string>& settings);

struct InvalidateWords {
  std::string path;
  std::string mode;  // empty: the mount's own
  bool no_flush = false;
  bool json = false;
};
int run_invalidate(const InvalidateWords& words);

int run_stats(const std::string& mount_point, bool as_json);

int run_mounts();

}  // namespace foliofs::cli
