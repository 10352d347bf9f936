// The three ways to invalidate a mapping, behind one signature. The file of each says what it
// guarantees and what it costs; the invariants are in tests/sim/README.md.
//
// With `discard` a path leaves nothing readable that was fetched before it began. Without it
// (sync, release) it only writes back, and waits for nothing but the store.
#pragma once

#include "folio_mapping.h"

namespace foliofs::cache {

struct InvalidatePass {
  InvalidateRequest request;
  bool discard = true;
  InvalidateReport report;  // the counts of folios; the rest is filled in when the path is done
  WritebackPass writeback;
};

Task<void> invalidate_by_launder(FolioMapping& mapping, InvalidatePass& pass);
Task<void> invalidate_by_bulk(FolioMapping& mapping, InvalidatePass& pass);
Task<void> invalidate_by_hybrid(FolioMapping& mapping, InvalidatePass& pass);

// Drops every folio that may be dropped, and the clean bytes of the others. Returns the number of
// folios that had to stay.
std::uint64_t discard_folios(FolioMapping& mapping, InvalidatePass& pass);

}  // namespace foliofs::cache
