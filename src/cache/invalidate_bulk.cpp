// The bulk path, after the RFC's netfs_invalidate_inode(inode, flush): unmap everything, hold up
// writers and faults, write everything back in large pieces, discard everything.
//
// The writers' gate takes the place of the locks that the RFC's caller holds: without it a write
// between the flush and the discard would be lost. Its price is that every writer waits for the
// whole flush.
//
// The gates shut only after the kernel's pages are gone, because a request that waits at a gate may
// hold a page locked, for which the unmapping would wait. A page that is faulted in between was
// read in the new generation, so it is not stale. If it was stored to, its bytes come as page
// writeback, which no gate stops. That is why the flush repeats until nothing is dirty, and why the
// discard looks at every folio.
#include "invalidate_paths.h"

namespace foliofs::cache {

namespace {

// While the gate is shut only page writeback can make bytes dirty, of pages that are unmapped.
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
