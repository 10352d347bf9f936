// FileId: identifies a file of this machine, whatever names it has.
#pragma once

#include <cstddef>
#include <cstdint>

namespace foliofs::server {

// Valid while the file exists. The birth time distinguishes a new file with a reused inode number.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t birth_ns = 0;

  friend bool operator==(const FileId&, const FileId&) = default;
};

struct FileIdHash {
  std::size_t operator()(const FileId& id) const noexcept {
    std::uint64_t mixed = id.inode * 0x9e3779b97f4a7c15u;
    mixed ^= (id.device + static_cast<std::uint64_t>(id.birth_ns)) * 0xc2b2ae3d27d4eb4fu;
    return static_cast<std::size_t>(mixed ^ (mixed >> 29));
  }
};

}  // namespace foliofs::server
