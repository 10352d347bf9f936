// Operation: one step of the tester, and how a seed becomes a list of them. An operation's numbers
// are valid for any state of the files, so any part of a list can run as a list.
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
  kSwitch,  // closes the files and opens them on the other mount
  kCompare,
};

// Through which of its descriptors of a file the tester makes the call.
enum class Through { kCached, kDirect, kSynchronous };

struct Operation {
  Kind kind{};
  Through through{};
  int file = 0;              // which of the two
  bool flag = false;         // msync, KEEP_SIZE, data only, SEEK_DATA
  std::uint64_t offset = 0;  // bytes
  std::uint64_t length = 0;  // bytes
  std::uint64_t to = 0;      // kCopy: offset in the other file with `flag`, else in the same one
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
