// FakeStore: a file on a server that fails, delays and reorders calls on demand, and records them.
// FakeKernel: a kernel above the cache that runs the test's code while it unmaps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "foliofs/base/fault_point.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/cache/folio_store.h"

namespace foliofs::test {

class FakeStore final : public cache::FolioStore {
 public:
  struct Write {
    std::vector<ByteRange> ranges;
    bool for_invalidation;
  };

  std::vector<std::byte> file;
  std::vector<Write> writes;  // in the order of arrival
  std::vector<ByteRange> reads;
  std::optional<Errno> write_error;  // while set, every write fails
  RangeSet no_room;                  // a write of any of these bytes fails with ENOSPC
  std::optional<Errno> read_error;
  bool hold_writes = false;  // while set, writes arrive but are not executed or answered
  bool hold_reads = false;
  std::uint32_t writes_waiting = 0;
  std::uint32_t most_writes_waiting = 0;
  std::uint32_t reads_waiting = 0;
  FaultPoints* faults = nullptr;  // reaches kAfterSend when a write has arrived

  void release() {
    hold_writes = hold_reads = false;
    released_.wake_all();
    for (const auto& held : held_writes_) held->changed.wake_all();
  }
  // Executes and answers one of the held writes out of order; `index` counts the held writes in
  // their order of arrival.
  void release_write(std::size_t index) {
    held_writes_.at(index)->released = true;
    held_writes_[index]->changed.wake_all();
  }

  void set_contents(std::string_view text) {
    auto bytes = std::as_bytes(std::span(text));
    file.assign(bytes.begin(), bytes.end());
  }
  std::string contents() const { return {reinterpret_cast<const char*>(file.data()), file.size()}; }

  Task<Result<std::uint64_t>> read(std::uint64_t offset, std::span<const iovec> into) override {
    std::uint64_t asked = 0;
    for (const iovec& part : into) asked += part.iov_len;
    reads.push_back(ByteRange::of(offset, asked));
    // The server reads when the request arrives, so a delayed reply carries old bytes.
    std::vector<std::byte> snapshot(
        file.begin() + std::min<std::size_t>(offset, file.size()),
        file.begin() + std::min<std::size_t>(offset + asked, file.size()));
    ++reads_waiting;
    while (hold_reads) co_await released_.wait();
    --reads_waiting;
    if (read_error) co_return *read_error;
    std::uint64_t done = 0;
    for (const iovec& part : into) {
      const std::uint64_t bytes = std::min<std::uint64_t>(part.iov_len, snapshot.size() - done);
      std::copy_n(snapshot.data() + done, bytes, static_cast<std::byte*>(part.iov_base));
      done += bytes;
    }
    co_return done;
  }

  Task<Status> write(cache::StoreWrite write) override {
    writes.push_back({{write.ranges.begin(), write.ranges.end()}, write.for_invalidation});
    most_writes_waiting = std::max(most_writes_waiting, ++writes_waiting);
    auto held = std::make_shared<Held>();
    held_writes_.push_back(held);
    if (faults != nullptr) co_await faults->reach(FaultPoint::kAfterSend);
    while (hold_writes && !held->released) co_await held->changed.wait();
    std::erase(held_writes_, held);
    --writes_waiting;
    if (write_error) co_return *write_error;
    for (ByteRange range : write.ranges) {
      if (no_room.overlaps(range)) co_return Errno(ENOSPC);
    }
    std::vector<std::byte> payload;
    for (const iovec& part : write.from) {
      const auto* bytes = static_cast<const std::byte*>(part.iov_base);
      payload.insert(payload.end(), bytes, bytes + part.iov_len);
    }
    std::size_t taken = 0;
    for (ByteRange range : write.ranges) {
      if (range.size() > payload.size() - taken) co_return Errno(EPROTO);
      if (file.size() < range.end) file.resize(range.end);
      std::memcpy(file.data() + range.begin, payload.data() + taken, range.size());
      taken += range.size();
    }
    if (taken != payload.size()) co_return Errno(EPROTO);
    co_return success();
  }

 private:
  struct Held {
    bool released = false;
    WaitQueue changed;
  };
  std::vector<std::shared_ptr<Held>> held_writes_;
  WaitQueue released_;
};

class FakeKernel final : public cache::KernelPages {
 public:
  std::vector<ByteRange> unmapped;
  // Runs while the kernel unmaps; a test writes dirty mapped pages to the cache here.
  std::function<Task<void>(ByteRange)> on_unmap;
  FaultPoints* faults = nullptr;  // reaches kWhileUnmapping

  Task<void> invalidate(ByteRange range) override {
    unmapped.push_back(range);
    if (faults != nullptr) co_await faults->reach(FaultPoint::kWhileUnmapping);
    if (on_unmap) co_await on_unmap(range);
  }
};

}  // namespace foliofs::test
