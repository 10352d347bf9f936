// ReplacedBytes: what a WRITE replaces in pages that the kernel has filled behind its back
// (RefilledPages).
//
// Somebody may store to a mapping of such a page before the kernel has dropped it. It is written
// back then, as it was before the WRITE but for what he has stored. So of a page that comes back
// meanwhile, bytes that are as they were before the WRITE are taken for those of the WRITE: a merge
// of three.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "foliofs/base/byte_range.h"
#include "foliofs/cache/mapping.h"

namespace foliofs::vfs {

class ReplacedBytes {
 public:
  // Of the WRITE of `data` at `offset`, which has not been stored yet, the bytes in `pages`.
  // nullptr when what is there cannot be read without waiting: then nobody has just read it.
  static std::shared_ptr<const ReplacedBytes> look(cache::Mapping& mapping, ByteRange pages,
                                                   std::uint64_t offset,
                                                   std::span<const std::byte> data);

  // `page` is what the kernel writes back at `offset`.
  void replace_in(std::uint64_t offset, std::span<std::byte> page) const;

 private:
  std::uint64_t begin_ = 0;
  std::vector<std::byte> before_, after_;  // equally long
};

// Those of one file, in the order of the WRITEs, each for as long as somebody holds it.
class ReplacedBytesOfFile {
 public:
  // Not when there are many already: then the kernel does not drop its pages.
  void add(const std::shared_ptr<const ReplacedBytes>& replaced);
  bool empty() const;
  void replace_in(std::uint64_t offset, std::span<std::byte> page) const;

 private:
  std::vector<std::weak_ptr<const ReplacedBytes>> replaced_;
};

}  // namespace foliofs::vfs
