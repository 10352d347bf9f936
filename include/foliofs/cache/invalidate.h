// How a mapping is invalidated: the three paths by name, what is asked of them, what they report.
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
  kRevalidate,  // the server's file is not the one that was cached
  kSync,        // a flush that somebody waits for: close, fsync, stat, unlock, a recalled lease …
  kRelease,     // the last close is over; again when what it left unwritten is tried once more
};
inline constexpr std::size_t kInvalidateReasons = 4;

const char* mode_name(InvalidateMode mode);        // "launder", "bulk", "hybrid"
const char* reason_name(InvalidateReason reason);  // "user", "revalidate", "sync", "release"
std::optional<InvalidateMode> parse_mode(std::string_view name);

struct InvalidateRequest {
  InvalidateMode mode = InvalidateMode::kHybrid;
  InvalidateReason reason = InvalidateReason::kUser;
  bool flush = true;  // write dirty bytes back; without it they stay, and their folios are kept
};

struct InvalidateReport {
  InvalidateMode mode = InvalidateMode::kHybrid;
  InvalidateReason reason = InvalidateReason::kUser;
  std::uint64_t folios_dropped = 0;
  std::uint64_t folios_kept = 0;  // dirty again, or not writable: still cached, still invalid
  // Written back while stores to them were held up: by launder each alone, by hybrid its
  // stragglers.
  std::uint64_t folios_laundered = 0;
  std::uint64_t write_calls = 0;
  std::uint64_t bytes_written = 0;
  std::chrono::microseconds elapsed_us{0};
  std::chrono::microseconds writer_stall_us_max{0};
  // A write error, or EBUSY when a folio that was to go had to be kept.
  std::optional<Errno> error;
};

}  // namespace foliofs::cache
