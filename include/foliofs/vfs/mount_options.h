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

// Sizes that the user has asked for, of options whose bounds or defaults depend on other options.
// They are kept apart from the sizes in effect, so that when another option changes,
// finish_options() starts from what the user asked for and not from an earlier result.
struct AskedSizes {
  std::optional<std::uint64_t> dirty_background;
  std::optional<std::uint64_t> dirty_limit;
  std::optional<std::uint64_t> readahead;
};

// How the client finds out that a file was changed elsewhere.
enum class Coherence {
  kCloseToOpen,  // asks the server at open, and when what it knows is older than actimeo
  kLease,        // the same without a lease; the server announces changes of what is leased
};

struct MountOptions {
  std::string host = "127.0.0.1";
  std::string export_name;
  std::uint16_t port = kDefaultPort;
  cache::InvalidateMode invalidate = cache::InvalidateMode::kHybrid;
  Coherence coherence = Coherence::kLease;
  std::chrono::microseconds actimeo_us = std::chrono::seconds(1);
  AskedSizes asked;
  cache::CacheConfig cache;  // folio_size, cache_size, dirty_*, readahead: the values in effect
  // Memory that inodes may take in addition to cache_size. What they take beyond it counts against
  // cache_size. Users cannot set this.
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

// Checks the rules that involve several options (dirty_background <= dirty_limit < cache_size …)
// and computes the values in effect: a size that the user has not asked for follows from the
// others.
OptionResult finish_options(MountOptions& options);

// For a live mount: sets all of `pairs` and calls finish_options(), or, if one is refused, changes
// nothing. Refuses options that are fixed for the mount's lifetime, and says so.
OptionResult set_live_options(MountOptions& options, std::span<const OptionPair> pairs);

// The server as a person writes it: "host:7440", "[::1]:7440".
std::string server_address(const MountOptions& options);

// The options in effect, for stats, under the keys of `-o`, except `retry` (soft, hard) and
// `access` (ro, rw).
std::vector<OptionPair> describe_options(const MountOptions& options);

}  // namespace foliofs::vfs
