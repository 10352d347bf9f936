// ReplacedBytes: what a WRITE replaces in pages that the kernel may have filled behind its back
// (RefilledPages).
//
// Somebody may store to a mapping of such a page before the kernel has dropped it. It is written
// back then, as it was before the WRITE but for what he has stored. So where a page that comes back
// shows nothing of what the WRITE has changed in it, bytes that are as they were before are taken
// for those of the WRITE: a merge of three.
//
// Appends are not remembered. Where the kernel takes longer to drop the page at the end than the
// append waits for it, a mapping's store to that page brings the zeros behind the old end.
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
  // Of the WRITE of `data` at `offset`, which has not been stored yet, the bytes in `pages`, as far
  // as they can be read without waiting: what cannot was not read just now.
  static std::shared_ptr<const ReplacedBytes> look(cache::Mapping& mapping, ByteRange pages,
                                                   std::uint64_t offset,
                                                   std::span<const std::byte> data);

  // `bytes` are the pages that the kernel writes back at `offset`.
  void replace_in(std::uint64_t offset, std::span<std::byte> bytes) const;

 private:
  std::uint64_t begin_ = 0;
  // Equally long, and the same where it is not known what was there before.
  std::vector<std::byte> before_, after_;
};

// Those of one file, in the order of the WRITEs, each for as long as somebody holds it.
class ReplacedBytesOfFile {
 public:
  // Of a WRITE to such pages. When there are too many, which is when the kernel does not drop its
  // pages, all are forgotten: without one of them the others would undo it.
  void add(const std::shared_ptr<const ReplacedBytes>& replaced);
  bool empty() const;
  void replace_in(std::uint64_t offset, std::span<std::byte> bytes) const;

 private:
  std::vector<std::weak_ptr<const ReplacedBytes>> replaced_;
};

}  // namespace foliofs::vfs
