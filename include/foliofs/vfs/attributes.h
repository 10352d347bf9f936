// Attributes of a file as the client keeps them, and how it tells that somebody else changed it.
#pragma once

#include <cstdint>

#include "foliofs/proto/messages.h"

namespace foliofs::vfs {

// As wire::Attributes; times in nanoseconds since the epoch, sizes in bytes.
struct Attributes {
  std::uint64_t ino = 0;
  std::uint64_t size = 0;
  std::uint64_t blocks = 0;  // of 512 bytes
  std::uint64_t rdev = 0;
  std::int64_t atime_ns = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  std::int64_t btime_ns = 0;
  std::uint64_t foreign_changes = 0;
  std::uint64_t change_epoch = 0;
  std::uint32_t mode = 0;
  std::uint32_t nlink = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t blksize = 4096;
  std::uint32_t flags = 0;  // proto::AttributeFlag bits

  bool is_regular() const;
  bool is_directory() const;
};

Attributes from_wire(const wire::Attributes& attributes);

// A version of a file: another one whenever somebody other than this client changes the file.
struct FileVersion {
  std::uint64_t change_epoch = 0;
  std::uint64_t foreign_changes = 0;

  bool operator==(const FileVersion&) const = default;
};

inline FileVersion version_of(const Attributes& attributes) {
  return {attributes.change_epoch, attributes.foreign_changes};
}

// True when somebody other than this client has changed the file between `before` and `now`, both
// as the server said them; `before` includes the outcome of this client's own changes.
bool changed_by_others(const Attributes& before, const Attributes& now);

// True when the server said `said` before it said `known`, although it arrived later.
bool overtaken(const Attributes& said, const Attributes& known);
// True when the server certainly said `said` after `known`, although a change by this client was
// answered in between.
bool is_later(const Attributes& said, const Attributes& known);

// True when both must be the same file, although the server gave it two handles.
bool same_file(const Attributes& a, const Attributes& b);

}  // namespace foliofs::vfs
