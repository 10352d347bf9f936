// The hybrid path: a flush that holds nobody up, fenced by the mapping's generation, and a discard
// that looks at each folio.
//
// 1. The new generation voids every clean byte for readers at once, before any folio is dropped.
// 2. Dirty bytes are snapshotted and written in large pieces while writers go on.
// 3. A folio is dropped only if nothing was stored to it since its snapshot; otherwise it stays,
//    without its clean bytes.
// 4. Stragglers get a few more rounds. Then a revalidation keeps what is dirty, because those bytes
//    are this client's own. The other reasons want it written (sync, release) or gone (user), so
//    the writers' gate shuts for the little that is left.
//
// Its price is memory, for copies of folios that are stored to while in flight, not writers' time.
#include "invalidate_paths.h"

namespace foliofs::cache {

namespace {

constexpr int kRounds = 3;

void discard(FolioMapping& mapping, InvalidatePass& pass) {
  pass.report.folios_kept = discard_folios(mapping, pass);
}

// Writes what is still dirty while system calls that store wait, so that it is clean afterwards.
Task<void> launder_stragglers(FolioMapping& mapping, InvalidatePass& pass) {
  mapping.shut_writers_gate();
  const std::uint64_t stragglers = mapping.unclean_count();
  co_await mapping.writepages(ByteRange::all(), pass.writeback);
  pass.report.folios_laundered += stragglers - std::min(stragglers, mapping.failed_count());
  if (pass.discard) {
    co_await mapping.reach(FaultPoint::kBeforeErase);
    discard(mapping, pass);
  }
  mapping.open_writers_gate();
}

}  // namespace

Task<void> invalidate_by_hybrid(FolioMapping& mapping, InvalidatePass& pass) {
  if (pass.discard) {
    // First, because unmapping brings in the dirty mapped pages that the flush has to write.
    co_await mapping.unmap(ByteRange::all());
    co_await mapping.reach(FaultPoint::kAfterUnmap);
  }
  const bool gates = pass.request.reason != InvalidateReason::kRevalidate;
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t found = mapping.dirty_bytes();
    if (pass.request.flush) co_await mapping.writepages(ByteRange::all(), pass.writeback);
    if (pass.discard) {
      co_await mapping.reach(FaultPoint::kBeforeErase);
      discard(mapping, pass);
    }
    if (!pass.request.flush || pass.writeback.error || mapping.dirty_bytes() == 0) co_return;
    co_await mapping.reach(FaultPoint::kBetweenRounds);
    // Writers are faster than the store: another round would only leave more for the gate.
    if (gates && mapping.dirty_bytes() >= found) break;
  }
  if (!gates) co_return;
  co_await launder_stragglers(mapping, pass);
}

}  // namespace foliofs::cache
