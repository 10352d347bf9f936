// ReplacedBytes: what a WRITE replaces in pages that the kernel may have filled behind its back
// (RefilledPages).
//
// A program may store to a mapping of such a page before the kernel has dropped it. The kernel then
// writes the page back as it was before the WRITE, except for what the program has stored. So where
// a page that comes back shows nothing of what the WRITE has changed in it, bytes that are as they
// were before the WRITE are replaced by those of the WRITE: a three-way merge.
//
// Appends are not remembered. If the kernel takes longer to drop the page at the end than the
// append waits for it, a store to that page through a mapping brings the zeros behind the old end.
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
  // The bytes in `pages` that the WRITE of `data` at `offset` is about to replace, as far as they
  // can be read without waiting. What cannot be read like this has not just filled a page.
  static std::shared_ptr<const ReplacedBytes> look(cache::Mapping& mapping, ByteRange pages,
                                                   std::uint64_t offset,
                                                   std::span<const std::byte> data);

  // `bytes` are the pages that the kernel writes back at `offset`; takes the WRITE's bytes into
  // them.
  void replace_in(std::uint64_t offset, std::span<std::byte> bytes) const;

 private:
  std::uint64_t begin_ = 0;
  // Equally long, and the same where it is not known what was there before the WRITE.
  std::vector<std::byte> before_, after_;
};

// Those of one file, in the order of the WRITEs. Each stays for as long as somebody holds it.
class ReplacedBytesOfFile {
 public:
  // Adds those of a WRITE to refilled pages. If there are too many, because the kernel does not
  // drop its pages, all are forgotten: if one were missing, the others would undo its WRITE.
  void add(const std::shared_ptr<const ReplacedBytes>& replaced);
  bool empty() const;
  void replace_in(std::uint64_t offset, std::span<std::byte> bytes) const;

 private:
  std::vector<std::weak_ptr<const ReplacedBytes>> replaced_;
};

}  // namespace foliofs::vfs
