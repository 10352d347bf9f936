// Truncation: the size changes here and on the server as one step.
//
// While the server is being told nothing of the file is on its way there and nothing may start, so
// no write from before can extend the file again (I9), and no fetch from before is published,
// because the epoch is another one (I4).
#include <cassert>

#include "folio_mapping.h"

namespace foliofs::cache {

Task<Status> FolioMapping::truncate(std::uint64_t size, std::function<Task<Status>()> on_server) {
  auto self = shared_from_this();
  while (truncating_) co_await truncate_ended_.wait();
  truncating_ = true;
  ++writeback_hold_;
  while (writes_pending_ > 0) co_await writeback_changed_.wait();
  co_await reach(FaultPoint::kBeforeTruncate);

  Status status = co_await on_server();
  if (status) {
    ++trunc_epoch_;
    if (size < size_) trim(size, /*dirty_too=*/true);
    size_ = size;
  }
  --writeback_hold_;
  writeback_changed_.wake_all();
  truncating_ = false;
  truncate_ended_.wake_all();
  co_return status;
}

}  // namespace foliofs::cache
