// Operation: one step of the tester, and how a seed becomes a list of them. An operation says what
// to do in numbers that fit any state of the files, so that any part of a list is a list too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace foliofs::stress {

enum class Kind {
  kRead,
  kWrite,
  kAppend,
  kMappedLoad,
  kMappedStore,
  kTruncate,
  kPunch,
  kZero,
  kAllocate,
  kCopy,
  kSeek,
  kSync,
  kStat,
  kReopen,
  kSwitch,  // the other mount, between a close and an open
  kCompare,
};

// Through which of the files that it has open the tester reads, writes and appends.
enum class Through { kCached, kDirect, kSynchronous };

struct Operation {
  Kind kind{};
  Through through{};
  int file = 0;              // which of the two
  bool flag = false;         // msync, KEEP_SIZE, data only, SEEK_DATA
  std::uint64_t offset = 0;  // bytes
  std::uint64_t length = 0;  // bytes
  std::uint64_t to = 0;      // kCopy: in the other file with `flag`, else in the same one
  std::uint32_t pattern = 0;
};

struct Bounds {
  std::uint64_t file_bytes = 256 << 10;
  std::uint64_t call_bytes = 64 << 10;
  bool two_mounts = false;
};

std::vector<Operation> generate(std::uint64_t seed, std::size_t count, const Bounds& bounds);
std::string describe(const Operation& operation);

}  // namespace foliofs::stress
