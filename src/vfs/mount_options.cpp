#include "foliofs/vfs/mount_options.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <optional>

namespace foliofs::vfs {

namespace {

OptionResult ok() {
  return boost::outcome_v2::success();
}

template <class... Arguments>
OptionError refuse(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  return {fmt::format(format, std::forward<Arguments>(arguments)...)};
}

std::optional<double> parse_number(std::string_view text, std::string_view& suffix) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return std::nullopt;
  suffix = text.substr(static_cast<std::size_t>(end - text.data()));
  return number;
}

// "64k", "1M", "0": bytes.
std::optional<std::uint64_t> parse_size(std::string_view text) {
  static const std::map<std::string_view, double> kUnits = {
      {"", 1},        {"k", 1 << 10}, {"K", 1 << 10}, {"m", 1 << 20},
      {"M", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30}};
  std::string_view suffix;
  auto number = parse_number(text, suffix);
  auto unit = kUnits.find(suffix);
  if (!number || unit == kUnits.end() || *number * unit->second > 1e15) return std::nullopt;
  return static_cast<std::uint64_t>(*number * unit->second);
}

// "60", "1.5", "100ms", "50us": microseconds. Without a unit: `unit_us` each.
std::optional<std::chrono::microseconds> parse_time(std::string_view text, double unit_us) {
  const std::map<std::string_view, double> units = {
      {"", unit_us}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}};
  std::string_view suffix;
  auto number = parse_number(text, suffix);
  auto unit = units.find(suffix);
  if (!number || unit == units.end() || *number * unit->second > 1e15) return std::nullopt;
  return std::chrono::microseconds(static_cast<std::int64_t>(*number * unit->second));
}

OptionResult set_size(std::uint64_t& target, std::string_view key, std::string_view value,
                      std::uint64_t least, std::uint64_t most) {
  auto size = parse_size(value);
  if (!size || *size < least || *size > most) {
    return refuse("{}={}: expected a size from {} to {} bytes, such as {}=64m", key, value, least,
                  most, key);
  }
  target = *size;
  return ok();
}

OptionResult set_time(std::chrono::microseconds& target, std::string_view key,
                      std::string_view value, double unit_us, std::chrono::microseconds most) {
  auto time = parse_time(value, unit_us);
  if (!time || *time > most) {
    return refuse("{}={}: expected a time up to {} s, such as {}=2 or {}=100ms", key, value,
                  most.count() / 1'000'000, key, key);
  }
  target = *time;
  return ok();
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
  return ok();
}

OptionResult set_invalidate(MountOptions& options, std::string_view key, std::string_view value) {
  auto mode = cache::parse_mode(value);
  if (!mode) return refuse("{}={}: expected launder, bulk or hybrid", key, value);
  options.invalidate = *mode;
  return ok();
}

OptionResult set_coherence(MountOptions&, std::string_view key, std::string_view value) {
  if (value == "cto") return ok();
  if (value == "lease") return refuse("{}=lease is not available yet; use {}=cto", key, key);
  return refuse("{}={}: expected cto", key, value);
}

OptionResult set_kernel_cache(MountOptions& options, std::string_view key, std::string_view value) {
  if (value != "on" && value != "off") return refuse("{}={}: expected on or off", key, value);
  options.kernel_cache = value == "on";
  return ok();
}

OptionResult set_port(MountOptions& options, std::string_view key, std::string_view value) {
  std::string_view suffix;
  auto number = parse_number(value, suffix);
  if (!number || !suffix.empty() || *number < 1 || *number > 65535) {
    return refuse("{}={}: expected a TCP port from 1 to 65535", key, value);
  }
  options.port = static_cast<std::uint16_t>(*number);
  return ok();
}

OptionResult set_log_level(MountOptions& options, std::string_view key, std::string_view value) {
  static constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error", "off"};
  if (std::find(std::begin(kLevels), std::end(kLevels), value) == std::end(kLevels)) {
    return refuse("{}={}: expected trace, debug, info, warn, error or off", key, value);
  }
  options.log_level = value;
  return ok();
}

constexpr std::uint64_t kMost = 1ull << 40;

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
         return set_size(o.cache.dirty_background, k, v, 0, kMost);
       }},
      {"dirty_limit",
       [](MountOptions& o, auto k, auto v) {
         return set_size(o.cache.dirty_limit, k, v, 1 << 20, kMost);
       }},
      {"readahead",
       [](MountOptions& o, auto k, auto v) {
         return set_size(o.cache.readahead, k, v, 0, 1 << 30);
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

// What mount(8), fstab and libfuse use, and what becomes of it.
bool is_for_mount_program(std::string_view key) {
  static constexpr std::string_view kNames[] = {
      "defaults", "auto",   "noauto", "user",  "nouser", "users",
      "_netdev",  "nofail", "rw",     "group", "owner",  "default_permissions"};
  return key.starts_with("x-") ||
         std::find(std::begin(kNames), std::end(kNames), key) != std::end(kNames);
}

bool is_for_fuse(std::string_view key) {
  static constexpr std::string_view kNames[] = {
      "dev",       "nodev",      "suid",        "nosuid",     "exec",
      "noexec",    "async",      "sync",        "atime",      "noatime",
      "diratime",  "nodiratime", "relatime",    "norelatime", "strictatime",
      "dirsync",   "fsname",     "subtype",     "blkdev",     "context",
      "fscontext", "defcontext", "rootcontext", "allow_root", "auto_unmount"};
  return std::find(std::begin(kNames), std::end(kNames), key) != std::end(kNames);
}

}  // namespace

OptionResult set_option(MountOptions& options, std::string_view key, std::string_view value) {
  if (auto found = setters().find(key); found != setters().end()) {
    return found->second(options, key, value);
  }
  if (key == "ro") {
    options.read_only = true;
  } else if (key == "rw") {
    options.read_only = false;
  } else if (key == "soft" || key == "hard") {
    options.hard = key == "hard";
  } else if (key == "allow_other") {
    options.allow_other = true;
  } else if (is_for_fuse(key)) {
    options.fuse_options.push_back(value.empty() ? std::string(key)
                                                 : fmt::format("{}={}", key, value));
  } else if (!is_for_mount_program(key)) {
    return refuse("unknown option \"{}\"; foliofs mount --help lists them", key);
  }
  return ok();
}

OptionResult set_live_option(MountOptions& options, std::string_view key, std::string_view value) {
  static constexpr std::string_view kFixed[] = {"folio_size", "port", "coherence"};
  const bool known = setters().contains(key) || key == "ro" || key == "rw" || key == "soft" ||
                     key == "hard" || key == "allow_other" || is_for_fuse(key);
  if (!known) {
    return refuse("unknown option \"{}\"; foliofs set --help lists them", key);
  }
  const bool fixed = !setters().contains(key) ||
                     std::find(std::begin(kFixed), std::end(kFixed), key) != std::end(kFixed);
  if (fixed || key == "timeo" || key == "log_level" || key == "poll" || key == "kernel_cache") {
    return refuse("{} is fixed while the share is mounted; unmount and mount again with it", key);
  }
  return set_option(options, key, value);
}

OptionResult finish_options(MountOptions& options) {
  cache::CacheConfig& cache = options.cache;
  // Who sets only cache_size means the others to follow.
  const cache::CacheConfig defaults;
  if (cache.dirty_limit == defaults.dirty_limit) {
    cache.dirty_limit = std::min(cache.dirty_limit, cache.cache_size / 2);
  }
  if (cache.dirty_background == defaults.dirty_background) {
    cache.dirty_background = std::min(cache.dirty_background, cache.dirty_limit / 2);
  }
  cache.readahead = std::min(cache.readahead, cache.cache_size / 8);
  if (cache.dirty_background > cache.dirty_limit) {
    return refuse("dirty_background ({} bytes) must not be above dirty_limit ({} bytes)",
                  cache.dirty_background, cache.dirty_limit);
  }
  if (cache.dirty_limit > cache.cache_size / 4 * 3) {
    return refuse(
        "dirty_limit ({} bytes) must not be above three quarters of cache_size ({} bytes)",
        cache.dirty_limit, cache.cache_size);
  }
  return ok();
}

std::vector<std::pair<std::string, std::string>> describe_options(const MountOptions& options) {
  auto seconds = [](std::chrono::microseconds time) {
    return fmt::format("{}", static_cast<double>(time.count()) / 1e6);
  };
  return {{"port", std::to_string(options.port)},
          {"invalidate", cache::mode_name(options.invalidate)},
          {"coherence", "cto"},
          {"actimeo", seconds(options.actimeo_us)},
          {"cache_size", std::to_string(options.cache.cache_size)},
          {"folio_size", std::to_string(options.cache.folio_size)},
          {"dirty_background", std::to_string(options.cache.dirty_background)},
          {"dirty_limit", std::to_string(options.cache.dirty_limit)},
          {"readahead", std::to_string(options.cache.readahead)},
          {"kernel_cache", options.kernel_cache ? "on" : "off"},
          {"poll", std::to_string(options.poll_us.count())},
          {"timeo", seconds(options.timeo_us)},
          {"retry", options.hard ? "hard" : "soft"},
          {"access", options.read_only ? "ro" : "rw"},
          {"log_level", options.log_level}};
}

}  // namespace foliofs::vfs
