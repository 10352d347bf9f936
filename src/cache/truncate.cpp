// Changes that only the server can make to a file, as one step there and here: a new size, a range
// that is cleared, copied or allocated, bytes that are appended.
//
// While the server is told, no WRITE of the file is in flight and none may start. So no earlier
// write can extend the file again (I9) or overwrite what the server has done. No earlier fetch is
// published: a truncation begins a new epoch, and any other change overtakes the fill (I4).
#include <cassert>

#include "folio_mapping.h"

namespace foliofs::cache {

Task<Status> FolioMapping::truncate(std::uint64_t size, std::function<Task<Status>()> on_server) {
  auto self = shared_from_this();
  co_await hold_stores();
  co_await hold_writes();

  Status status = co_await on_server();
  if (status) {
    ++trunc_epoch_;
    if (size < size_) trim({size, ByteRange::kNoEnd}, /*dirty_too=*/true);
    size_ = size;
  }
  let_writes();
  let_stores();
  co_return status;
}

Task<Status> FolioMapping::change_on_server(ByteRange range,
                                            std::function<Task<Result<ServerChange>>()> on_server) {
  auto self = shared_from_this();
  ++server_changes_;
  co_await hold_stores();
  WritebackPass pass;
  co_await writepages(range, pass);
  Status status = success();
  if (pass.error) {
    status = *pass.error;
  } else {
    co_await hold_writes();
    auto change = co_await on_server();
    if (change) {
      // Dirty bytes too: pages that were written back meanwhile also bring bytes from before the
      // change.
      overtake_fills(change.value().range);
      trim(change.value().range, /*dirty_too=*/true);
      size_ = std::max(size_, change.value().size);
    } else {
      // The server may have made a part of the change.
      overtake_fills(range);
      trim(range, /*dirty_too=*/false);
      status = change.error();
    }
    let_writes();
  }
  let_stores();
  --server_changes_;
  waiting_store_ended_.wake_all();
  co_return status;
}

// When it returns no system call stores, until let_stores().
Task<void> FolioMapping::hold_stores() {
  while (changing_) co_await change_ended_.wait();
  changing_ = true;
}

void FolioMapping::let_stores() {
  changing_ = false;
  change_ended_.wake_all();
}

// When it returns no WRITE is in flight, and none begins until let_writes().
Task<void> FolioMapping::hold_writes() {
  ++writeback_hold_;
  while (writes_pending_ > 0) co_await writeback_changed_.wait();
  co_await reach(FaultPoint::kBeforeTruncate);
}

void FolioMapping::let_writes() {
  --writeback_hold_;
  writeback_changed_.wake_all();
}

}  // namespace foliofs::cache
