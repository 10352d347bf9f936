// The bulk path, after the RFC's netfs_invalidate_inode(inode, flush): unmap all, shut out writers
// and faults, write everything back in large pieces, discard everything.
//
// The gate is what its caller's locks are in the RFC: without it a write between the flush and the
// discard would be lost. Its price is that every writer stands still for the whole of the flush.
//
// The gate shuts only after the kernel's pages are gone: a gated request may hold a page locked for
// which the kernel would wait. A page faulted in between has been read in the new generation, so
// it is not stale; if it was stored to, its bytes come as page writeback, which no gate stops. That
// is why the flush repeats until nothing is dirty, and why the discard looks at every folio.
#include "invalidate_paths.h"

namespace foliofs::cache {

namespace {

// Only page writeback can dirty anything behind the gate, and what it brings has been unmapped.
constexpr int kMaxFlushes = 8;

}  // namespace

Task<void> invalidate_by_bulk(FolioMapping& mapping, InvalidatePass& pass) {
  if (pass.discard) {
    co_await mapping.unmap(ByteRange::all());
    co_await mapping.reach(FaultPoint::kAfterUnmap);
    mapping.shut_fault_gate();
  }
  mapping.shut_writers_gate();
  for (int flushes = 0; pass.request.flush && flushes < kMaxFlushes; ++flushes) {
    co_await mapping.writepages(ByteRange::all(), pass.writeback);
    if (pass.writeback.error || mapping.dirty_bytes() == 0) break;
    co_await mapping.reach(FaultPoint::kBetweenRounds);
  }
  if (pass.discard) {
    co_await mapping.reach(FaultPoint::kBeforeErase);
    pass.report.folios_kept = discard_folios(mapping, pass);
    mapping.open_fault_gate();
  }
  mapping.open_writers_gate();
}

}  // namespace foliofs::cache
