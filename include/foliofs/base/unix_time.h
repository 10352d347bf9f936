// Times of files: nanoseconds since the epoch on the wire and in memory, seconds and nanoseconds in
// system calls.
#pragma once

#include <cstdint>
#include <ctime>

namespace foliofs {

inline constexpr std::int64_t kSecondNs = 1'000'000'000;

// A time that 64 bits cannot hold becomes the nearest one that they can, in 1677 or in 2262, as
// filesystems do with times outside their range.
constexpr std::int64_t to_ns(std::int64_t seconds, std::int64_t ns) {
  constexpr std::int64_t kMost = INT64_MAX / kSecondNs - 1;
  if (seconds > kMost || seconds < -kMost) return (seconds > 0 ? kMost : -kMost) * kSecondNs;
  return seconds * kSecondNs + ns;
}

constexpr timespec to_timespec(std::int64_t ns) {
  std::int64_t seconds = ns / kSecondNs;
  std::int64_t rest = ns % kSecondNs;
  if (rest < 0) {
    rest += kSecondNs;
    --seconds;
  }
  return {static_cast<time_t>(seconds), static_cast<long>(rest)};
}

}  // namespace foliofs
