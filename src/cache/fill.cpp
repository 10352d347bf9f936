// Reading: from folios if they have the bytes, otherwise through fills, one or more fetches from
// the store.
//
// A fill reads into memory of its own and publishes that when the reply has come: only if the
// mapping is still in the generation and the truncation epoch in which the fill was sent, and only
// the bytes that the folio has not got meanwhile and that no write has overtaken (I4).
#include <cassert>
#include <cstring>

#include "folio_mapping.h"

namespace foliofs::cache {

Task<Result<ReadResult>> FolioMapping::read(ByteRange range, Readahead* readahead) {
  ReadResult result;
  if (try_read(range, readahead, result)) co_return result;
  ++core_->stats.read_misses;
  for (;;) {
    while (fault_gate_ > 0) co_await gate_opened_.wait();
    if (is_about_to_be_stored(range)) {
      co_await waiting_store_ended_.wait();
      continue;
    }
    const ByteRange wanted = range.intersect({0, size_});
    if (collect(wanted, result)) co_return result;
    start_readahead(wanted, /*cached=*/false, readahead);
    readahead = nullptr;
    auto status = co_await fetch(wanted);
    if (!status) co_return status.error();
  }
}

bool FolioMapping::try_read(ByteRange range, Readahead* readahead, ReadResult& result) {
  // Checked before the range is clamped, because a waiting store may make the file longer.
  if (fault_gate_ > 0 || is_about_to_be_stored(range)) return false;
  range = range.intersect({0, size_});
  if (!collect(range, result)) return false;
  ++core_->stats.read_hits;
  start_readahead(range, /*cached=*/true, readahead);
  return true;
}

// Gathers the bytes of `range` if the folios have all of them.
bool FolioMapping::collect(ByteRange range, ReadResult& result) {
  result = ReadResult{};
  boost::container::small_vector<Folio*, 4> folios;
  for (std::uint64_t cursor = range.begin; cursor < range.end;) {
    Folio* folio = find(cursor);
    if (folio == nullptr) return false;
    folio->enter_generation(gen_);
    const ByteRange part = range.intersect(folio->range);
    if (!folio->valid.contains(part)) return false;
    result.parts.push_back({folio->at(part.begin), part.size()});
    result.holds.push_back(folio->buffer);
    result.bytes += part.size();
    folios.push_back(folio);
    cursor = part.end;
  }
  for (Folio* folio : folios) {
    core_->folio_used(*folio, range.intersect(folio->range));
    if (folio->ahead) ++core_->stats.readahead_hits;
    core_->folio_ahead(*folio, false);
  }
  return true;
}

void FolioMapping::start_readahead(ByteRange read, bool cached, Readahead* readahead) {
  if (readahead == nullptr) return;
  ByteRange ahead = readahead->advance(read, cached, size_, core_->readahead_window());
  // Up to the end of a folio, so that the next piece does not begin inside one.
  if (!ahead.empty()) ahead.end = std::min(folio_range(ahead.end - 1).end, size_);
  for (std::uint64_t cursor = ahead.begin; cursor < ahead.end;) {
    const std::uint64_t end = std::min(ahead.end, cursor + core_->config.max_io);
    RangeSet have;
    for (const auto& fill : fills_) have.add(fill->range);
    for (std::uint64_t at = cursor; at < end; at = folio_range(at).end) {
      Folio* folio = find(at);
      if (folio == nullptr || folio->fill_gen != gen_) continue;
      have.add(folio->valid);
    }
    for (ByteRange gap : have.missing({cursor, end})) {
      gap = whole_pages(gap);
      const std::uint64_t bytes = gap.size() + core_->config.folio_size;
      if (!core_->try_reserve(bytes, CacheCore::Want::kReadahead)) return;
      core_->stats.readahead_bytes += gap.size();
      core_->ahead_in_flight += gap.size();
      auto fill = begin_fill(gap, /*ahead=*/true);
      spawn(core_->executor, "readahead", run_fill(shared_from_this(), std::move(fill)));
    }
    cursor = end;
  }
}

std::shared_ptr<Fill> FolioMapping::begin_fill(ByteRange range, bool ahead) {
  auto fill = std::make_shared<Fill>();
  fill->range = range;
  fill->ahead = ahead;
  fill->gen = gen_;
  fill->trunc_epoch = trunc_epoch_;
  fill->size = size_;
  fills_.push_back(fill);
  return fill;
}

// Brings the bytes of `range` into the folios, by new fills and by those under way. Some bytes may
// be gone again when this returns, so the caller checks and repeats.
Task<Status> FolioMapping::fetch(ByteRange range) {
  RangeSet have;
  for (std::uint64_t at = range.begin; at < range.end; at = folio_range(at).end) {
    Folio* folio = find(at);
    if (folio == nullptr) continue;
    folio->enter_generation(gen_);
    have.add(folio->valid);
  }
  std::vector<std::shared_ptr<Fill>> waiting;
  for (const auto& fill : fills_) {
    if (fill->gen != gen_ || fill->trunc_epoch != trunc_epoch_) continue;
    const RangeSet brings = fill->brings();
    if (!brings.overlaps(range)) continue;
    have.add(brings);
    waiting.push_back(fill);
  }
  RangeSet gaps;  // a set, because gaps close to each other merge when they are aligned to pages
  for (const ByteRange& gap : have.missing(range)) gaps.add(whole_pages(gap));
  std::vector<ByteRange> pieces;
  for (const ByteRange& gap : gaps) {
    for (std::uint64_t at = gap.begin; at < gap.end; at += core_->config.max_io) {
      pieces.push_back({at, std::min(gap.end, at + core_->config.max_io)});
    }
  }
  auto self = shared_from_this();
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    waiting.push_back(begin_fill(pieces[i], /*ahead=*/false));
    // The last fill runs in the caller's own coroutine, the others in parallel.
    if (i + 1 < pieces.size()) {
      spawn(core_->executor, "fill", run_fill(self, waiting.back()));
    } else {
      co_await run_fill(self, waiting.back());
    }
  }
  for (const auto& fill : waiting) {
    while (!fill->done) co_await fill_done_.wait();
    // An error of readahead is not reported: the reader then fetches the bytes itself.
    if (fill->error && !fill->ahead) co_return *fill->error;
  }
  co_return success();
}

Task<void> FolioMapping::run_fill(std::shared_ptr<FolioMapping> mapping,
                                  std::shared_ptr<Fill> fill) {
  std::vector<BufferRef> buffers;
  auto bytes_read = co_await mapping->read_into(fill->range, buffers);
  co_await mapping->reach(FaultPoint::kAfterFill);
  if (!bytes_read) fill->error = bytes_read.error();
  if (fill->ahead) mapping->core_->ahead_in_flight -= fill->range.size();
  mapping->end_fill(fill, buffers);
}

void FolioMapping::end_fill(const std::shared_ptr<Fill>& fill,
                            const std::vector<BufferRef>& buffers) {
  fill->done = true;
  fills_.remove(fill);
  const bool current = fill->gen == gen_ && fill->trunc_epoch == trunc_epoch_;
  if (!fill->error && current) publish(*fill, buffers);
  fill_done_.wake_all();
}

// The part of the file that a fill of `range` covers by its buffer for the folio at `offset`.
ByteRange FolioMapping::filled_part(ByteRange range, std::uint64_t offset) const {
  return whole_pages(folio_range(offset).intersect(range));
}

// New buffers for `range`, one for each folio, and the places in them for the bytes of `range`.
bool FolioMapping::allocate(ByteRange range, std::vector<BufferRef>& buffers,
                            std::vector<iovec>& into) {
  for (std::uint64_t at = range.begin; at < range.end; at = folio_range(at).end) {
    const ByteRange part = folio_range(at).intersect(range), held = filled_part(range, at);
    BufferRef buffer = Buffer::allocate(core_->memory, held.size());
    if (!buffer) return false;
    into.push_back({buffer->data() + (part.begin - held.begin), part.size()});
    buffers.push_back(std::move(buffer));
  }
  return true;
}

// Reads `range` from the store into new buffers.
Task<Result<std::uint64_t>> FolioMapping::read_into(ByteRange range,
                                                    std::vector<BufferRef>& buffers) {
  std::uint64_t needed = 0;
  for (std::uint64_t at = range.begin; at < range.end; at = folio_range(at).end) {
    needed += sizeof(Folio) + filled_part(range, at).size();
  }
  auto reserved = co_await core_->reserve(needed);
  if (!reserved) co_return reserved.error();

  std::vector<iovec> into;
  if (!allocate(range, buffers, into)) co_return Errno(ENOMEM);
  auto bytes_read = co_await store_->read(range.begin, into);
  if (!bytes_read) co_return bytes_read.error();
  // What the server does not have lies in a hole or beyond its end, and reads as zeros.
  std::uint64_t have = bytes_read.value();
  for (const iovec& part : into) {
    const std::uint64_t filled = std::min<std::uint64_t>(have, part.iov_len);
    std::memset(static_cast<std::byte*>(part.iov_base) + filled, 0, part.iov_len - filled);
    have -= filled;
  }
  co_return bytes_read.value();
}

void FolioMapping::publish(const Fill& fill, const std::vector<BufferRef>& buffers) {
  const ByteRange range = fill.range.intersect({0, std::min(size_, fill.size)});
  auto buffer = buffers.begin();
  for (std::uint64_t at = range.begin; at < range.end; at = folio_range(at).end, ++buffer) {
    RangeSet fresh;
    fresh.add(folio_range(at).intersect(range));
    fresh.subtract(fill.overtaken);
    if (fresh.empty()) continue;
    // The room that was there when the fill began may have been used meanwhile.
    if (find(at) == nullptr && !core_->make_room(sizeof(Folio))) continue;
    FolioRef folio = find_or_create(at);
    folio->enter_generation(gen_);
    const std::uint64_t begin = filled_part(fill.range, at).begin;
    if (!merge(*folio, *buffer, begin, fresh)) continue;
    folio->filled = true;
    if (fill.ahead) core_->folio_ahead(*folio, true);
  }
}

// Makes the bytes `fresh` of `filled`, whose first byte is at `filled_begin` in the file, valid in
// the folio, and keeps the bytes that the folio has. False when there is no memory at the moment.
bool FolioMapping::merge(Folio& folio, const BufferRef& filled, std::uint64_t filled_begin,
                         const RangeSet& fresh) {
  const ByteRange news{fresh.front().begin, fresh.back().end};
  const ByteRange own =
      folio.valid.empty() ? news : ByteRange{folio.valid.front().begin, folio.valid.back().end};
  const ByteRange held = ByteRange::of(filled_begin, filled->capacity());
  const ByteRange wanted = private_buffer_range(&folio, news);
  const bool suits = held.contains(own) && held.contains(news);
  if (suits && (folio.valid.empty() || !wanted.empty())) {
    adopt(folio, filled, filled_begin, folio.valid);
  } else {
    if (!wanted.empty()) {
      if (!core_->make_room(wanted.size())) return false;
      if (folio.mapping != this) return false;  // make_room() has dropped this very folio
      BufferRef buffer = Buffer::allocate(core_->memory, wanted.size());
      if (!buffer) return false;
      adopt(folio, std::move(buffer), wanted.begin, folio.valid);
    }
    for (const ByteRange& part : fresh) {
      for (const ByteRange& gap : folio.valid.missing(part)) {
        std::memcpy(folio.at(gap.begin), filled->data() + (gap.begin - filled_begin), gap.size());
      }
    }
  }
  folio.valid.add(fresh);
  return true;
}

Task<Result<ReadResult>> FolioMapping::read_direct(ByteRange range) {
  WritebackPass pass;
  co_await writepages(range, pass);
  if (pass.error) co_return *pass.error;
  range = range.intersect({0, size_});
  ReadResult result;
  std::vector<BufferRef> buffers;
  if (range.empty()) co_return result;
  auto bytes_read = co_await read_into(range, buffers);
  if (!bytes_read) co_return bytes_read.error();
  // The server's file may end before bytes that are dirty here; between them is a hole.
  const std::uint64_t end = std::max(range.begin + bytes_read.value(), dirty_end());
  std::uint64_t left = range.intersect({range.begin, end}).size();
  auto buffer = buffers.begin();
  for (std::uint64_t at = range.begin; left > 0; at = folio_range(at).end, ++buffer) {
    const ByteRange part = folio_range(at).intersect(range);
    const std::uint64_t bytes = std::min(left, part.size());
    const std::uint64_t begin = filled_part(range, at).begin;
    result.parts.push_back({(*buffer)->data() + (part.begin - begin), bytes});
    result.holds.push_back(*buffer);
    result.bytes += bytes;
    left -= bytes;
  }
  co_return result;
}

}  // namespace foliofs::cache
