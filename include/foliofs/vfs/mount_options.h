// The options of a mount: what `-o` takes, with bounds and defaults, and which of them a live mount
// can change.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "foliofs/base/limits.h"
#include "foliofs/base/refusal.h"
#include "foliofs/cache/cache.h"
#include "foliofs/cache/invalidate.h"

namespace foliofs::vfs {

// What was asked for and depends on other options. Kept apart from what came of it, so that an
// option which changes later is weighed against the wishes and not against earlier results.
struct AskedSizes {
  std::optional<std::uint64_t> dirty_background;
  std::optional<std::uint64_t> dirty_limit;
  std::optional<std::uint64_t> readahead;
};

// How the client finds out that somebody else has changed something.
enum class Coherence {
  kCloseToOpen,  // asks at open, and when what it knows is older than actimeo
  kLease,        // the same for what it has no lease of; of the rest the server tells it
};

struct MountOptions {
  std::string host = "127.0.0.1";
  std::string export_name;
  std::uint16_t port = kDefaultPort;
  cache::InvalidateMode invalidate = cache::InvalidateMode::kHybrid;
  Coherence coherence = Coherence::kLease;
  std::chrono::microseconds actimeo_us = std::chrono::seconds(1);
  AskedSizes asked;
  cache::CacheConfig cache;  // folio_size, cache_size, dirty_*, readahead, as they are in effect
  // So much the inodes may take beside cache_size; what they take beyond it counts in it. Not for
  // users.
  std::uint64_t inode_allowance = 16ull << 20;
  bool kernel_cache = true;
  std::chrono::microseconds poll_us{200};
  std::chrono::microseconds timeo_us = std::chrono::seconds(60);
  bool hard = false;
  bool read_only = false;
  bool allow_other = false;
  std::string log_level = "info";
  std::vector<std::string> fuse_options;  // passed on to libfuse: dev, suid, noexec, fsname=…
};

using OptionPair = std::pair<std::string, std::string>;  // key, value; the value of a flag is empty

using OptionResult = RefusalOr<void>;

// Sets one option ("invalidate=bulk" is key "invalidate", value "bulk"; a flag has no value).
OptionResult set_option(MountOptions& options, std::string_view key, std::string_view value);

// Checks what concerns more than one option (dirty_background <= dirty_limit < cache_size …) and
// works out what is in effect: a size that nobody has asked for follows the others.
OptionResult finish_options(MountOptions& options);

// All of `pairs` and finish_options(), for a mount that is live; or, when one is refused, none.
// Refuses what is fixed for the mount's lifetime, and says so.
OptionResult set_live_options(MountOptions& options, std::span<const OptionPair> pairs);

// The server as a person writes it: "host:7440", "[::1]:7440".
std::string server_address(const MountOptions& options);

// What is in effect, for stats: as `-o` has it, but for `retry` (soft, hard) and `access` (ro, rw).
std::vector<OptionPair> describe_options(const MountOptions& options);

}  // namespace foliofs::vfs
