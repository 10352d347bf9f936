// What a mapping needs from outside: a file on the server, and the kernel's pages above it.
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
  std::span<const iovec> from;        // their bytes, one range after the other; must not change
                                      // until the write returns
  bool for_invalidation = false;      // sent as a flag of the WRITE, as in the RFC's wbc
};

// One file on the server. Calls may overlap and complete in any order.
class FolioStore {
 public:
  virtual ~FolioStore() = default;

  // Reads at `offset` until `into` is full or the file ends. Returns the bytes read; fewer than
  // asked means end of file.
  virtual Task<Result<std::uint64_t>> read(std::uint64_t offset, std::span<const iovec> into) = 0;

  // Writes all of it. If it fails, any part of it may have been written.
  virtual Task<Status> write(StoreWrite write) = 0;
};

// The kernel's page cache of one file, above our cache.
class KernelPages {
 public:
  virtual ~KernelPages() = default;

  // Returns when the kernel has unmapped its pages of `range` from every process and dropped them.
  // Meanwhile it sends us dirty mapped pages as WRITEs, and waits for READs in flight. So nothing
  // that a READ or a page's WRITE depends on may wait for this call (docs/ARCHITECTURE.md).
  virtual Task<void> invalidate(ByteRange range) = 0;
};

}  // namespace foliofs::cache
