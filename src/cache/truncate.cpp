// What only the server can do to a file, as one step here and there: another size, a range that is
// cleared, copied or allocated, bytes that go to its end.
//
// While the server is being told nothing of the file is on its way there and nothing may start, so
// no write from before can extend the file again (I9) or come back over what the server has done,
// and no fetch from before is published: after a truncation the epoch is another one, and any other
// change overtakes it (I4).
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
  ++extending_;
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
      // Pages that were written back meanwhile bring what they had before the change as well.
      overtake_fills(change.value().range);
      trim(change.value().range, /*dirty_too=*/true);
      size_ = std::max(size_, change.value().size);
    } else {
      // Part of it may have been done.
      overtake_fills(range);
      trim(range, /*dirty_too=*/false);
      status = change.error();
    }
    let_writes();
  }
  let_stores();
  --extending_;
  waiting_store_ended_.wake_all();
  co_return status;
}

// From here on no system call stores.
Task<void> FolioMapping::hold_stores() {
  while (changing_) co_await change_ended_.wait();
  changing_ = true;
}

void FolioMapping::let_stores() {
  changing_ = false;
  change_ended_.wake_all();
}

// From here on nothing is on its way to the server.
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
