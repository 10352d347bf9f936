// Storing: bytes from the kernel become dirty bytes in folios, after the waits that are due.
#include <algorithm>
#include <cassert>
#include <cstring>

#include "folio_mapping.h"

namespace foliofs::cache {

// A store that has arrived and waits. Reads of the same bytes wait for it: the kernel had put the
// bytes into a page before it sent them, may have dropped that page since, and would keep the older
// bytes that a read brings now.
class FolioMapping::WaitingStore {
 public:
  WaitingStore(FolioMapping& mapping, ByteRange range)
      : mapping_(mapping),
        at_(mapping.waiting_stores_.insert(mapping.waiting_stores_.end(), range)) {}
  ~WaitingStore() {
    mapping_.waiting_stores_.erase(at_);
    mapping_.waiting_store_ended_.wake_all();
  }
  WaitingStore(const WaitingStore&) = delete;
  WaitingStore& operator=(const WaitingStore&) = delete;

 private:
  FolioMapping& mapping_;
  const std::list<ByteRange>::iterator at_;
};

bool FolioMapping::is_about_to_be_stored(ByteRange range) const {
  if (server_changes_ > 0 && range.end > size_) return true;
  return std::any_of(waiting_stores_.begin(), waiting_stores_.end(),
                     [&](ByteRange waiting) { return waiting.overlaps(range); });
}

Task<Status> FolioMapping::write(std::uint64_t offset, std::span<const std::byte> data,
                                 WriteSource source, std::function<bool()> abandoned) {
  const ByteRange range = ByteRange::of(offset, data.size());
  if (range.size() != data.size()) co_return Errno(EFBIG);
  const WaitingStore waiting(*this, range);
  for (;;) {
    if (abandoned && abandoned()) co_return Errno(EINTR);
    if (!may_store(range, source)) {
      auto ready = co_await wait_to_store(range);
      if (!ready) co_return ready.error();
      continue;
    }
    auto reserved = co_await core_->reserve(memory_needed(range));
    if (!reserved) co_return reserved.error();
    if (abandoned && abandoned()) co_return Errno(EINTR);
    // Anything may have changed during the wait. make_room(), because our turn for memory has come
    // and we need not queue again.
    if (!may_store(range, source) || !core_->make_room(memory_needed(range))) continue;
    if (!store(offset, data)) co_return Errno(ENOMEM);
    co_return success();
  }
}

bool FolioMapping::try_write(std::uint64_t offset, std::span<const std::byte> data,
                             WriteSource source) {
  const ByteRange range = ByteRange::of(offset, data.size());
  if (range.size() != data.size() || !may_store(range, source)) return false;
  return core_->try_reserve(memory_needed(range)) && store(offset, data);
}

// Whether a store may happen now, if there is memory for it.
bool FolioMapping::may_store(ByteRange range, WriteSource source) {
  if (source == WriteSource::kPageWriteback) return true;
  if (changing_ || writers_gate_ > 0 || touches_locked_folio(range)) return false;
  return !failed && !core_->over_dirty_limit(range.size());
}

bool FolioMapping::touches_locked_folio(ByteRange range) {
  for (std::uint64_t at = range.begin; at < range.end; at = folio_range(at).end) {
    Folio* folio = find(at);
    if (folio != nullptr && folio->locked) return true;
  }
  return false;
}

// Waits for the first thing that holds up a system call's store to `range`. The caller checks again
// afterwards.
Task<Status> FolioMapping::wait_to_store(ByteRange range) {
  if (changing_) {
    co_await change_ended_.wait();
  } else if (writers_gate_ > 0) {
    co_await stall_until_woken(gate_opened_);
  } else if (touches_locked_folio(range)) {
    co_await stall_until_woken(folio_unlocked_);
  } else if (failed) {
    // After a failure each writer of this file first tries to write back what is there, and so
    // learns at once whether that works again, instead of adding more (as NFS does after an error).
    WritebackPass pass;
    pass.only_try = true;
    co_await writepages(ByteRange::all(), pass);
    if (pass.error) co_return *pass.error;
  } else if (auto error = core_->clogged()) {
    co_return *error;
  } else if (core_->over_dirty_limit(range.size())) {
    ++core_->stats.throttled_writes;
    co_await core_->wait_for_writeback();
  }
  co_return success();
}

Task<void> FolioMapping::stall_until_woken(WaitQueue& queue) {
  auto stall = stalls_.insert(stalls_.end(), core_->clock.now());
  co_await queue.wait();
  for (StallMeter& meter : stall_meters_) {
    const Duration stood = core_->clock.now() - std::max(*stall, meter.since_);
    meter.longest_ended_ = std::max(meter.longest_ended_, stood);
  }
  stalls_.erase(stall);
}

FolioMapping::StallMeter::StallMeter(FolioMapping& mapping)
    : mapping_(mapping), since_(mapping.core_->clock.now()) {
  mapping_.stall_meters_.push_back(*this);
}

FolioMapping::StallMeter::~StallMeter() {
  mapping_.stall_meters_.erase(mapping_.stall_meters_.iterator_to(*this));
}

Duration FolioMapping::StallMeter::longest() const {
  Duration longest = longest_ended_;
  for (const TimePoint& began : mapping_.stalls_) {
    longest = std::max(longest, mapping_.core_->clock.now() - std::max(began, since_));
  }
  return longest;
}

// The memory that a store to `range` would allocate.
std::uint64_t FolioMapping::memory_needed(ByteRange range) {
  std::uint64_t bytes = 0;
  for (std::uint64_t at = range.begin; at < range.end; at = folio_range(at).end) {
    const Folio* folio = find(at);
    if (folio == nullptr) bytes += sizeof(Folio);
    bytes += private_buffer_range(folio, folio_range(at).intersect(range)).size();
  }
  return bytes;
}

// The part of the file that a new buffer has to cover for a store to `part` of a folio; empty when
// the folio has such a buffer already and does not share it. A buffer that grows doubles, up to the
// whole folio.
ByteRange FolioMapping::private_buffer_range(const Folio* folio, ByteRange part) const {
  ByteRange wanted = whole_pages(part);
  const ByteRange have = folio == nullptr ? ByteRange{} : folio->held();
  if (have.empty()) return wanted;
  const bool grows = !have.contains(part);
  if (!grows && !folio->buffer->shared()) return {};
  wanted = {std::min(wanted.begin, have.begin), std::max(wanted.end, have.end)};
  if (grows) {
    const ByteRange whole = folio->range;
    wanted.end = std::min(whole.end, std::max(wanted.end, wanted.begin + 2 * have.size()));
    const std::uint64_t bytes = std::min(whole.size(), 2 * have.size());
    wanted.begin = std::min(wanted.begin, wanted.end - std::min(bytes, wanted.end - whole.begin));
  }
  return wanted;
}

// Makes `buffer`, whose first byte is at `begin` in the file, the folio's buffer, and copies the
// bytes `kept` from the previous one.
void FolioMapping::adopt(Folio& folio, BufferRef buffer, std::uint64_t begin,
                         const RangeSet& kept) {
  for (const ByteRange& part : kept) {
    std::memcpy(buffer->data() + (part.begin - begin), folio.at(part.begin), part.size());
  }
  folio.buffer = std::move(buffer);
  folio.buffer_begin = begin;
  core_->folio_resized(folio);
}

// Makes `data` dirty, after all waits. False only when memory is exhausted, and then nothing was
// stored.
bool FolioMapping::store(std::uint64_t offset, std::span<const std::byte> data) {
  const ByteRange range = ByteRange::of(offset, data.size());
  boost::container::small_vector<BufferRef, 17> buffers;  // one for each folio; null if not needed
  for (std::uint64_t at = range.begin; at < range.end; at = folio_range(at).end) {
    FolioRef folio = find_or_create(at);
    folio->enter_generation(gen_);
    const ByteRange wanted = private_buffer_range(folio.get(), folio->range.intersect(range));
    buffers.push_back(wanted.empty() ? nullptr : Buffer::allocate(core_->memory, wanted.size()));
    if (!wanted.empty() && !buffers.back()) return false;
  }
  ++store_seq_;
  auto buffer = buffers.begin();
  for (std::uint64_t at = range.begin; at < range.end; at = folio_range(at).end, ++buffer) {
    FolioRef folio = find(at);
    const ByteRange part = folio->range.intersect(range);
    if (*buffer) {
      const std::uint64_t begin = private_buffer_range(folio.get(), part).begin;
      RangeSet kept = folio->valid;
      kept.subtract(part);
      if (!kept.empty() && folio->under_writeback()) ++core_->stats.cow_copies;
      adopt(*folio, std::move(*buffer), begin, kept);
    }
    std::memcpy(folio->at(part.begin), data.data() + (part.begin - offset), part.size());
    const std::uint64_t before = unclean_bytes(*folio);
    folio->valid.add(part);
    folio->dirty.add(part);
    folio->dseq = store_seq_;
    core_->folio_used(*folio, part);
    settle(*folio, before);
  }
  size_ = std::max(size_, range.end);
  return true;
}

Task<Status> FolioMapping::write_direct(std::uint64_t offset, std::span<const std::byte> data,
                                        std::function<bool()> abandoned) {
  const ByteRange range = ByteRange::of(offset, data.size());
  if (range.size() != data.size()) co_return Errno(EFBIG);
  for (;;) {
    while (changing_) co_await change_ended_.wait();
    while (writers_gate_ > 0) co_await stall_until_woken(gate_opened_);
    if (abandoned && abandoned()) co_return Errno(EINTR);
    WritebackPass pass;
    co_await writepages(range, pass);
    if (pass.error) co_return *pass.error;
    if (writers_gate_ == 0 && !changing_) break;
  }
  ++writes_pending_;  // hold_writes() waits for it as for any other WRITE
  const iovec part{const_cast<std::byte*>(data.data()), data.size()};
  StoreWrite request;
  request.ranges = std::span(&range, 1);
  request.from = std::span(&part, 1);
  auto status = co_await store_->write(request);
  --writes_pending_;
  writeback_changed_.wake_all();
  // What was cached of the range is older than what has just been written. That holds after a
  // failure too, because any part of it may have been written.
  overtake_fills(range);
  for (FolioRef folio = folio_from(range.begin); folio && folio->range.begin < range.end;
       folio = folio_from(folio->range.end)) {
    // That WRITE and ours were in flight together: we do not know whose bytes the server has now.
    if (folio->writing.overlaps(range)) folio->sent_gen = 0;
    folio->valid.subtract(range);
    folio->valid.add(folio->dirty);
    folio->valid.add(folio->writing);
  }
  if (!status) co_return status.error();
  size_ = std::max(size_, range.end);
  co_return success();
}

}  // namespace foliofs::cache
