// The launder path, after invalidate_inode_pages2_range() and ->launder_folio(): folio by folio,
// one write after the other.
//
// It shuts no gate: only a system call that stores to the very folio being laundered waits. So it
// can run from anywhere. Its price is a round trip for every dirty folio. It makes one pass and
// goes on after a failure; the last error is reported.
//
// Unlike the kernel's it counts a folio as clean only when the server has acknowledged the write,
// not already when it was submitted.
#include <algorithm>

#include "invalidate_paths.h"

namespace foliofs::cache {

namespace {

Task<void> launder(FolioMapping& mapping, InvalidatePass& pass, FolioRef folio) {
  co_await mapping.lock_folio(*folio);
  if (pass.request.flush && !folio->clean()) {
    const bool written = co_await mapping.write_folio_alone(folio, pass.writeback);
    pass.report.folios_laundered += written ? 1 : 0;
  }
  if (pass.discard) {
    co_await mapping.reach(FaultPoint::kBeforeErase);
    mapping.try_drop(*folio) ? ++pass.report.folios_dropped : ++pass.report.folios_kept;
  }
  mapping.unlock_folio(*folio);
  co_await mapping.reach(FaultPoint::kBetweenRounds);
}

Task<void> launder_dirty_folios(FolioMapping& mapping, InvalidatePass& pass) {
  const std::uint64_t end = mapping.dirty_end();
  for (FolioRef folio = mapping.unclean_from(0); folio && folio->range.begin < end;
       folio = mapping.unclean_from(folio->range.end)) {
    co_await launder(mapping, pass, folio);
    if (pass.writeback.is_hopeless()) co_return;
  }
}

}  // namespace

Task<void> invalidate_by_launder(FolioMapping& mapping, InvalidatePass& pass) {
  if (!pass.discard) {
    co_await launder_dirty_folios(mapping, pass);
    co_return;
  }
  // Behind the last folio only the kernel may have pages. They are unmapped first, because dirty
  // ones come in as new folios; what is faulted in after that is of the new generation.
  const std::uint64_t behind = mapping.folios_end();
  co_await mapping.unmap({behind, ByteRange::kNoEnd});
  // Folios may have been dropped meanwhile although the kernel still has their pages.
  const std::uint64_t end = std::max(behind, mapping.folios_end());
  for (std::uint64_t cursor = 0; cursor < end;) {
    FolioRef folio = mapping.folio_from(cursor);
    const std::uint64_t unmapped_to = folio ? std::min(folio->range.end, end) : end;
    // Unmapped before the folio is locked, because the kernel may wait for a page that is held by a
    // write, and that write may wait for the folio. This includes the gap before the folio.
    co_await mapping.unmap({cursor, unmapped_to});
    // Dirty pages of that gap have come in as folios of their own.
    for (folio = mapping.folio_from(cursor); folio && folio->range.begin < unmapped_to;
         folio = mapping.folio_from(folio->range.end)) {
      co_await launder(mapping, pass, folio);
      if (pass.writeback.is_hopeless()) break;
    }
    cursor = unmapped_to;
    if (pass.writeback.is_hopeless()) break;
  }
  co_await mapping.reach(FaultPoint::kAfterUnmap);
}

}  // namespace foliofs::cache
