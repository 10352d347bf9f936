// How changes of a file show on the disk, and how they are counted for sessions.
#pragma once

#include <cstdint>

namespace foliofs::server {

// What differs after any change of a file, whoever makes it.
struct ChangeStamp {
  std::int64_t ctime_ns = 0;
  std::int64_t mtime_ns = 0;
  std::uint64_t size = 0;

  friend bool operator==(const ChangeStamp&, const ChangeStamp&) = default;
};

// How often a file has been changed by others than one session, as counted for that session. Counts
// of different epochs cannot be compared.
struct ChangeCounts {
  std::uint64_t foreign = 0;
  std::uint64_t epoch = 0;
};

}  // namespace foliofs::server
