// The hybrid path: a flush with nobody held up, fenced by the mapping's generation, and a discard
// that looks at each folio.
//
// 1. The new generation makes every clean byte void for readers at once; it need not be dropped to
//    be gone. 2. Dirty bytes are snapshotted and written in large pieces while writers go on.
// 3. A folio goes only if nothing was stored to it since its snapshot; otherwise it stays, without
//    its clean bytes. 4. Stragglers get a few more rounds. Then an invalidation that is about
//    freshness keeps what is dirty, because those bytes are this client's own; one that is about
//    durability (close, release) shuts the gate for the little that is left.
//
// Its price is memory, for copies of what is stored to while in flight, and not writers' time.
#include "invalidate_paths.h"

namespace foliofs::cache {

namespace {

constexpr int kRounds = 3;

std::uint64_t count_dirty_folios(FolioMapping& mapping) {
  std::uint64_t count = 0;
  for (FolioRef folio = mapping.folio_from(0); folio;
       folio = mapping.folio_from(folio->range.end)) {
    count += !folio->clean();
  }
  return count;
}

// Everything that is still dirty, with writers shut out; what was fenced is gone after it.
Task<void> launder_stragglers(FolioMapping& mapping, InvalidatePass& pass) {
  pass.report.folios_laundered += count_dirty_folios(mapping);
  mapping.shut_writers_gate();
  co_await mapping.writepages(ByteRange::all(), pass.writeback);
  mapping.open_writers_gate();
}

}  // namespace

Task<void> invalidate_by_hybrid(FolioMapping& mapping, InvalidatePass& pass) {
  if (pass.discard) {
    // First, because it brings in the dirty mapped pages that the flush has to write.
    co_await mapping.unmap(ByteRange::all());
    co_await mapping.reach(FaultPoint::kAfterUnmap);
  }
  for (int round = 0; round < kRounds; ++round) {
    if (pass.request.flush) co_await mapping.writepages(ByteRange::all(), pass.writeback);
    if (pass.discard) {
      co_await mapping.reach(FaultPoint::kBeforeErase);
      pass.report.folios_kept = discard_folios(mapping, pass);
    }
    if (!pass.request.flush || pass.writeback.error || mapping.dirty_bytes() == 0) co_return;
    co_await mapping.reach(FaultPoint::kBetweenRounds);
  }
  if (!pass.discard) co_await launder_stragglers(mapping, pass);
}

}  // namespace foliofs::cache
