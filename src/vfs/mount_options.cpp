#include "foliofs/vfs/mount_options.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <optional>

#include "foliofs/base/parse_integer.h"

namespace foliofs::vfs {

namespace {

template <class... Arguments>
Refusal refuse(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  return {fmt::format(format, std::forward<Arguments>(arguments)...)};
}

// What each suffix of a number stands for.
using Units = std::map<std::string_view, double>;

// "1.5k": the number times what its suffix stands for. Only plain decimals: no exponent, and none
// of the words that from_chars() also accepts ("inf", "nan").
std::optional<double> parse_quantity(std::string_view text, const Units& units) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number) || std::signbit(number)) return std::nullopt;
  const auto unit = units.find(text.substr(static_cast<std::size_t>(end - text.data())));
  if (unit == units.end() || number * unit->second > 1e15) return std::nullopt;
  return number * unit->second;
}

// "64k", "1M", "0": bytes.
std::optional<std::uint64_t> parse_size(std::string_view text) {
  static const Units kUnits = {{"", 1},        {"k", 1 << 10}, {"K", 1 << 10}, {"m", 1 << 20},
                               {"M", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30}};
  const auto bytes = parse_quantity(text, kUnits);
  if (!bytes) return std::nullopt;
  return static_cast<std::uint64_t>(*bytes);
}

// "60", "1.5", "100ms", "50us": microseconds. A number without a unit is in units of `unit_us`.
std::optional<std::chrono::microseconds> parse_time(std::string_view text, double unit_us) {
  const Units units = {{"", unit_us}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}};
  const auto time_us = parse_quantity(text, units);
  if (!time_us) return std::nullopt;
  return std::chrono::microseconds(static_cast<std::int64_t>(*time_us));
}

OptionResult set_size(std::uint64_t& target, std::string_view key, std::string_view value,
                      std::uint64_t least, std::uint64_t most) {
  auto size = parse_size(value);
  if (!size || *size < least || *size > most) {
    return refuse("{}={}: expected a size from {} to {} bytes, such as {}=64m", key, value, least,
                  most, key);
  }
  target = *size;
  return success();
}

OptionResult set_time(std::chrono::microseconds& target, std::string_view key,
                      std::string_view value, double unit_us, std::chrono::microseconds most) {
  auto time = parse_time(value, unit_us);
  const auto most_ms = std::chrono::duration_cast<std::chrono::milliseconds>(most).count();
  if ((!time || *time > most) && most_ms < 1000) {
    return refuse("{}={}: expected a time up to {} ms, such as {}=1ms", key, value, most_ms, key);
  }
  if (!time || *time > most) {
    return refuse("{}={}: expected a time up to {} s, such as {}=2 or {}=100ms", key, value,
                  most_ms / 1000, key, key);
  }
  target = *time;
  return success();
}

using Setter = std::function<OptionResult(MountOptions&, std::string_view, std::string_view)>;

OptionResult set_folio_size(MountOptions& options, std::string_view key, std::string_view value) {
  std::uint64_t size = 0;
  auto set = set_size(size, key, value, 4 << 10, 1 << 20);
  if (!set) return set;
  if ((size & (size - 1)) != 0) {
    return refuse("{}={}: expected a power of two from 4k to 1m", key, value);
  }
  options.cache.folio_size = static_cast<std::uint32_t>(size);
  return success();
}

OptionResult set_invalidate(MountOptions& options, std::string_view key, std::string_view value) {
  auto mode = cache::parse_mode(value);
  if (!mode) return refuse("{}={}: expected launder, bulk or hybrid", key, value);
  options.invalidate = *mode;
  return success();
}

OptionResult set_coherence(MountOptions& options, std::string_view key, std::string_view value) {
  if (value != "cto" && value != "lease") return refuse("{}={}: expected lease or cto", key, value);
  options.coherence = value == "cto" ? Coherence::kCloseToOpen : Coherence::kLease;
  return success();
}

OptionResult set_kernel_cache(MountOptions& options, std::string_view key, std::string_view value) {
  if (value != "on" && value != "off") return refuse("{}={}: expected on or off", key, value);
  options.kernel_cache = value == "on";
  return success();
}

OptionResult set_port(MountOptions& options, std::string_view key, std::string_view value) {
  const auto port = parse_integer<std::uint16_t>(value);
  if (!port || *port == 0) {
    return refuse("{}={}: expected a TCP port from 1 to 65535", key, value);
  }
  options.port = *port;
  return success();
}

OptionResult set_log_level(MountOptions& options, std::string_view key, std::string_view value) {
  static constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error", "off"};
  if (std::find(std::begin(kLevels), std::end(kLevels), value) == std::end(kLevels)) {
    return refuse("{}={}: expected trace, debug, info, warn, error or off", key, value);
  }
  options.log_level = value;
  return success();
}

constexpr std::uint64_t kMost = 1ull << 40;

// Sets a size that finish_options() checks against the others.
OptionResult set_asked(std::optional<std::uint64_t>& asked, std::uint64_t& effective,
                       std::string_view key, std::string_view value, std::uint64_t least,
                       std::uint64_t most) {
  auto set = set_size(effective, key, value, least, most);
  if (set) asked = effective;
  return set;
}

// Options with a value.
const std::map<std::string_view, Setter>& setters() {
  static const std::map<std::string_view, Setter> table = {
      {"invalidate", set_invalidate},
      {"coherence", set_coherence},
      {"folio_size", set_folio_size},
      {"kernel_cache", set_kernel_cache},
      {"port", set_port},
      {"log_level", set_log_level},
      {"cache_size",
       [](MountOptions& o, auto k, auto v) {
         return set_size(o.cache.cache_size, k, v, 8 << 20, kMost);
       }},
      {"dirty_background",
       [](MountOptions& o, auto k, auto v) {
         return set_asked(o.asked.dirty_background, o.cache.dirty_background, k, v, 0, kMost);
       }},
      {"dirty_limit",
       [](MountOptions& o, auto k, auto v) {
         return set_asked(o.asked.dirty_limit, o.cache.dirty_limit, k, v, 1 << 20, kMost);
       }},
      {"dirty_expire",
       [](MountOptions& o, auto k, auto v) {
         return set_time(o.cache.dirty_expire, k, v, 1e6, std::chrono::hours(24));
       }},
      {"readahead",
       [](MountOptions& o, auto k, auto v) {
         return set_asked(o.asked.readahead, o.cache.readahead, k, v, 0, 1 << 30);
       }},
      {"actimeo",
       [](MountOptions& o, auto k, auto v) {
         return set_time(o.actimeo_us, k, v, 1e6, std::chrono::hours(24));
       }},
      {"timeo",
       [](MountOptions& o, auto k, auto v) {
         return set_time(o.timeo_us, k, v, 1e6, std::chrono::hours(24));
       }},
      {"poll",
       [](MountOptions& o, auto k, auto v) {
         return set_time(o.poll_us, k, v, 1, std::chrono::milliseconds(10));
       }},
  };
  return table;
}

// Our own flags.
const std::map<std::string_view, std::function<void(MountOptions&)>>& flags() {
  static const std::map<std::string_view, std::function<void(MountOptions&)>> table = {
      {"ro",
       [](MountOptions& o) {
         o.read_only = true;
       }},
      {"rw",
       [](MountOptions& o) {
         o.read_only = false;
       }},
      {"soft",
       [](MountOptions& o) {
         o.hard = false;
       }},
      {"hard",
       [](MountOptions& o) {
         o.hard = true;
       }},
      {"allow_other",
       [](MountOptions& o) {
         o.allow_other = true;
       }},
  };
  return table;
}

bool is_in(std::span<const std::string_view> names, std::string_view key) {
  return std::find(names.begin(), names.end(), key) != names.end();
}

// Options that concern only mount(8) and fstab, and options that change nothing on a FUSE mount:
// the kernel leaves the access time to the filesystem, here to the one of the server; FUSE ignores
// the others, or they are always on. The last five are those that /proc/mounts shows for every FUSE
// mount, so mount(8) may repeat them; their values are ours to choose.
bool is_without_effect(std::string_view key) {
  static constexpr std::string_view kNames[] = {
      "defaults",   "auto",       "noauto",     "user",        "nouser",
      "users",      "nousers",    "group",      "nogroup",     "owner",
      "noowner",    "_netdev",    "nofail",     "comment",     "default_permissions",
      "atime",      "relatime",   "norelatime", "strictatime", "nostrictatime",
      "diratime",   "nodiratime", "lazytime",   "nolazytime",  "iversion",
      "noiversion", "silent",     "loud",       "nomand",      "user_id",
      "group_id",   "rootmode",   "fd",         "max_read"};
  return key.starts_with("x-") || key.starts_with("X-") || is_in(kNames, key);
}

// Options that libfuse 3.14 or its fusermount3 accept. Any other option would make the mount fail
// there.
constexpr std::string_view kFuseFlags[] = {"dev",     "nodev",   "suid",       "nosuid",
                                           "exec",    "noexec",  "async",      "sync",
                                           "noatime", "dirsync", "allow_root", "auto_unmount"};
constexpr std::string_view kFuseValues[] = {"fsname",    "subtype",    "context",
                                            "fscontext", "defcontext", "rootcontext"};

bool is_for_fuse(std::string_view key) {
  return is_in(kFuseFlags, key) || is_in(kFuseValues, key);
}

OptionResult need_no_value(std::string_view key, std::string_view value) {
  if (value.empty()) return success();
  return refuse("{} takes no value; write {} alone, or leave it out", key, key);
}

OptionResult set_fuse_option(MountOptions& options, std::string_view key, std::string_view value) {
  if (is_in(kFuseFlags, key)) {
    if (auto bare = need_no_value(key, value); !bare) return bare;
    options.fuse_options.emplace_back(key);
    return success();
  }
  if (value.empty()) return refuse("{} needs a value: {}=…", key, key);
  options.fuse_options.push_back(fmt::format("{}={}", key, value));
  return success();
}

// As set_option(), for a live mount.
OptionResult set_live_option(MountOptions& options, std::string_view key, std::string_view value) {
  static constexpr std::string_view kLiveFlags[] = {"soft", "hard"};
  static constexpr std::string_view kFixed[] = {"folio_size", "port", "coherence"};
  const bool has_value = setters().contains(key);
  if (!has_value && !flags().contains(key) && !is_for_fuse(key) && key != "log_file") {
    return refuse("unknown option \"{}\"; foliofs set --help lists what can be set", key);
  }
  if (has_value ? is_in(kFixed, key) : !is_in(kLiveFlags, key)) {
    return refuse("{} is fixed while the share is mounted; unmount and mount again with it", key);
  }
  return set_option(options, key, value);
}

}  // namespace

OptionResult set_option(MountOptions& options, std::string_view key, std::string_view value) {
  if (auto found = setters().find(key); found != setters().end()) {
    return found->second(options, key, value);
  }
  if (auto found = flags().find(key); found != flags().end()) {
    if (auto bare = need_no_value(key, value); !bare) return bare;
    found->second(options);
    return success();
  }
  if (is_for_fuse(key)) return set_fuse_option(options, key, value);
  if (is_without_effect(key)) return success();
  return refuse("unknown option \"{}\"; foliofs mount --help lists them", key);
}

OptionResult set_live_options(MountOptions& options, std::span<const OptionPair> pairs) {
  MountOptions changed = options;
  for (const auto& [key, value] : pairs) {
    if (auto set = set_live_option(changed, key, value); !set) return set;
  }
  if (auto finished = finish_options(changed); !finished) return finished;
  options = std::move(changed);
  return success();
}

OptionResult finish_options(MountOptions& options) {
  static constexpr cache::CacheConfig kDefaults;
  const AskedSizes& asked = options.asked;
  cache::CacheConfig cache = options.cache;
  cache.dirty_limit =
      asked.dirty_limit.value_or(std::min(kDefaults.dirty_limit, cache.cache_size / 2));
  cache.dirty_background =
      asked.dirty_background.value_or(std::min(kDefaults.dirty_background, cache.dirty_limit / 2));
  cache.readahead = asked.readahead.value_or(std::min(kDefaults.readahead, cache.cache_size / 8));
  // The kernel keeps the other bytes that were used once, unless it is told not to cache.
  cache.used_once = options.kernel_cache ? kDefaults.used_once : cache.cache_size;
  if (cache.dirty_background > cache.dirty_limit) {
    return refuse("dirty_background ({} bytes) must not be above dirty_limit ({} bytes)",
                  cache.dirty_background, cache.dirty_limit);
  }
  if (cache.dirty_limit > cache.cache_size / 4 * 3) {
    return refuse(
        "dirty_limit ({} bytes) must not be above three quarters of cache_size ({} bytes)",
        cache.dirty_limit, cache.cache_size);
  }
  if (cache.readahead > cache.cache_size / 8) {
    return refuse("readahead ({} bytes) must not be above an eighth of cache_size ({} bytes)",
                  cache.readahead, cache.cache_size);
  }
  options.cache = cache;
  return success();
}

std::string server_address(const MountOptions& options) {
  const bool ipv6 = options.host.find(':') != std::string::npos;
  return (ipv6 ? '[' + options.host + ']' : options.host) + ':' + std::to_string(options.port);
}

std::vector<OptionPair> describe_options(const MountOptions& options) {
  auto seconds = [](std::chrono::microseconds time) {
    return fmt::format("{}", static_cast<double>(time.count()) / 1e6);
  };
  return {{"port", std::to_string(options.port)},
          {"invalidate", cache::mode_name(options.invalidate)},
          {"coherence", options.coherence == Coherence::kLease ? "lease" : "cto"},
          {"actimeo", seconds(options.actimeo_us)},
          {"cache_size", std::to_string(options.cache.cache_size)},
          {"folio_size", std::to_string(options.cache.folio_size)},
          {"dirty_background", std::to_string(options.cache.dirty_background)},
          {"dirty_limit", std::to_string(options.cache.dirty_limit)},
          {"dirty_expire", seconds(options.cache.dirty_expire)},
          {"readahead", std::to_string(options.cache.readahead)},
          {"kernel_cache", options.kernel_cache ? "on" : "off"},
          {"poll", std::to_string(options.poll_us.count())},
          {"timeo", seconds(options.timeo_us)},
          {"retry", options.hard ? "hard" : "soft"},
          {"access", options.read_only ? "ro" : "rw"},
          {"log_level", options.log_level}};
}

}  // namespace foliofs::vfs
