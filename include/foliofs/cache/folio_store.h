// What a mapping needs from the world: a file on the server, and the kernel's pages above it.
//
// These two narrow interfaces are all that cache/ sees of the network and of FUSE.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "foliofs/base/byte_range.h"
#include "foliofs/base/limits.h"
#include "foliofs/base/result.h"
#include "foliofs/base/task.h"

namespace foliofs::cache {

struct StoreWrite {
  std::span<const ByteRange> ranges;  // at least one and at most kMaxWriteRanges, none empty
  std::span<const iovec> from;        // their bytes, one range after the other; immutable until the
                                      // write returns
  bool for_invalidation = false;      // goes out on the wire, as the RFC wants of its wbc
};

// One file on the server. Calls may overlap and complete in any order.
class FolioStore {
 public:
  virtual ~FolioStore() = default;

  // Reads at `offset` until `into` is full or the file ends. Returns the bytes read; fewer than
  // asked means end of file.
  virtual Task<Result<std::uint64_t>> read(std::uint64_t offset, std::span<const iovec> into) = 0;

  // Writes all of it, or fails and may have written any part of it.
  virtual Task<Status> write(StoreWrite write) = 0;
};

// The pages that the kernel keeps of one file above our cache.
class KernelPages {
 public:
  virtual ~KernelPages() = default;

  // Returns when the kernel has dropped its pages of `range`, unmapped from every process. Dirty
  // mapped pages come to us as writes meanwhile, and the call waits for READs in flight: so nobody
  // on whom a READ or a page's WRITE depends may wait for this (docs/ARCHITECTURE.md).
  virtual Task<void> invalidate(ByteRange range) = 0;
};

}  // namespace foliofs::cache
