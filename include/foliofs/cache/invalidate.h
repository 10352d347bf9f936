// How a mapping is invalidated: the names of the three paths, their request, and their report.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "foliofs/base/byte_range.h"
#include "foliofs/base/result.h"

namespace foliofs::cache {

enum class InvalidateMode { kLaunder, kBulk, kHybrid };
inline constexpr std::size_t kInvalidateModes = 3;

enum class InvalidateReason {
  kUser,        // foliofs invalidate
  kRevalidate,  // the file on the server has changed since it was cached
  kSync,        // something waits for the flush: close, fsync, stat, unlock, a recalled lease …
  kRelease,     // a RELEASE, and later attempts to write what could not be written then
};
inline constexpr std::size_t kInvalidateReasons = 4;

const char* mode_name(InvalidateMode mode);        // "launder", "bulk", "hybrid"
const char* reason_name(InvalidateReason reason);  // "user", "revalidate", "sync", "release"
std::optional<InvalidateMode> parse_mode(std::string_view name);

struct InvalidateRequest {
  InvalidateMode mode = InvalidateMode::kHybrid;
  InvalidateReason reason = InvalidateReason::kUser;
  bool flush = true;  // write dirty bytes back; otherwise they stay, and so do their folios
};

struct InvalidateReport {
  InvalidateMode mode = InvalidateMode::kHybrid;
  InvalidateReason reason = InvalidateReason::kUser;
  std::uint64_t folios_dropped = 0;
  std::uint64_t folios_kept = 0;  // still cached, because dirty again or not written; still invalid
  // Written back while stores to them had to wait: by launder each one by itself, by hybrid only
  // its stragglers.
  std::uint64_t folios_laundered = 0;
  std::uint64_t write_calls = 0;
  std::uint64_t bytes_written = 0;
  std::chrono::microseconds elapsed_us{0};
  std::chrono::microseconds writer_stall_us_max{0};
  // A write error, or EBUSY when a folio that should have been dropped had to be kept.
  std::optional<Errno> error;
};

}  // namespace foliofs::cache
