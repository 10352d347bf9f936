// The options of a mount: what `-o` takes, with bounds and defaults, and which of them a live mount
// can change.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "foliofs/base/limits.h"
#include "foliofs/base/result.h"
#include "foliofs/cache/cache.h"
#include "foliofs/cache/invalidate.h"

namespace foliofs::vfs {

struct MountOptions {
  std::string host = "127.0.0.1";
  std::string export_name;
  std::uint16_t port = kDefaultPort;
  cache::InvalidateMode invalidate = cache::InvalidateMode::kHybrid;
  std::chrono::microseconds actimeo_us = std::chrono::seconds(1);
  cache::CacheConfig cache;  // folio_size, cache_size, dirty_*, readahead
  bool kernel_cache = true;
  std::chrono::microseconds poll_us{50};
  std::chrono::microseconds timeo_us = std::chrono::seconds(60);
  bool hard = false;
  bool read_only = false;
  bool allow_other = false;
  std::string log_level = "info";
  std::vector<std::string> fuse_options;  // passed on to libfuse: dev, suid, noexec, fsname=…
};

// Sets one option ("invalidate=bulk" is key "invalidate", value "bulk"; a flag has no value).
// An error is one line for a person: what was wrong and what is possible.
struct OptionError {
  std::string text;
};
using OptionResult =
    boost::outcome_v2::basic_result<void, OptionError, boost::outcome_v2::policy::terminate>;
OptionResult set_option(MountOptions& options, std::string_view key, std::string_view value);

// As set_option, for a mount that is live: refuses what is fixed for its lifetime, and says so.
OptionResult set_live_option(MountOptions& options, std::string_view key, std::string_view value);

// Checks what concerns more than one option (dirty_background <= dirty_limit < cache_size …) and
// fills in the defaults that depend on others.
OptionResult finish_options(MountOptions& options);

// The options as `-o` would take them, for stats and /proc/mounts.
std::vector<std::pair<std::string, std::string>> describe_options(const MountOptions& options);

}  // namespace foliofs::vfs
