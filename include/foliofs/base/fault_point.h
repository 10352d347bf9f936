// Named places in the core where a test may make the code wait, to enter the window of a race on
// purpose. In production there is no FaultPoints object, and a fault point costs one comparison.
#pragma once

#include <string_view>

#include "foliofs/base/task.h"

namespace foliofs {

enum class FaultPoint {
  kAfterSnapshot,     // writeback: dirty ranges are copied out, nothing sent yet
  kAfterSend,         // writeback: the WRITE is with the server (reached by a test's server)
  kAfterAcknowledge,  // writeback: the server has answered, the folio does not know yet
  kWhileUnmapping,    // invalidation: the kernel drops its pages (reached by a test's kernel)
  kAfterUnmap,        // invalidation: the kernel's pages are gone
  kBeforeErase,       // invalidation: about to decide on dropping folios
  kBetweenRounds,     // invalidation: hybrid's round, bulk's flush, launder's folio is over
  kAfterFill,         // fill: the server has answered, nothing is published yet
  kBeforeTruncate,    // truncate: writeback is quiet, the server is not told yet
};

class FaultPoints {
 public:
  virtual ~FaultPoints() = default;
  // Suspends for as long as the test wants.
  virtual Task<void> reach(FaultPoint point) = 0;
};

}  // namespace foliofs
