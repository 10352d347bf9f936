// The launder path, after invalidate_inode_pages2_range() and ->launder_folio(): folio by folio,
// one write after the other.
//
// It gates nobody: only a system call that stores to the very folio being laundered waits. So it
// can run from anywhere. Its price is a round trip for every dirty folio. One pass; it goes on
// after a failure, and the last error wins.
//
// Unlike the kernel's it counts a folio as clean only once the server has acknowledged the write,
// not once it was submitted.
#include "invalidate_paths.h"

namespace foliofs::cache {

Task<void> invalidate_by_launder(FolioMapping& mapping, InvalidatePass& pass) {
  std::uint64_t cursor = 0;
  for (FolioRef folio = mapping.folio_from(0); folio; folio = mapping.folio_from(cursor)) {
    // Before the lock, because the kernel may wait for a page that belongs to a write which waits
    // for the folio. What lies between the folios is the kernel's alone and goes along.
    if (pass.discard) co_await mapping.unmap({cursor, folio->range.end});
    cursor = folio->range.end;
    if (!pass.discard && folio->clean()) continue;

    co_await mapping.lock_folio(*folio);
    if (pass.request.flush && !folio->clean()) {
      co_await mapping.write_folio_alone(folio, pass.writeback);
      ++pass.report.folios_laundered;
    }
    if (pass.discard) {
      co_await mapping.reach(FaultPoint::kBeforeErase);
      mapping.try_drop(*folio) ? ++pass.report.folios_dropped : ++pass.report.folios_kept;
    }
    mapping.unlock_folio(*folio);
    if (pass.writeback.error == Errno(ETIMEDOUT)) break;  // each further folio would wait as long
  }
  if (pass.discard) {
    co_await mapping.unmap({cursor, ByteRange::kNoEnd});
    co_await mapping.reach(FaultPoint::kAfterUnmap);
  }
}

}  // namespace foliofs::cache
