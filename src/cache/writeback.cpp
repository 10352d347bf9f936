// Writeback: dirty bytes become WRITE requests.
//
// A folio is snapshotted as a whole: its dirty ranges become `writing`, the requests share its
// buffer, and later stores go to a copy. While any of `writing` is unanswered the folio is not
// snapshotted again, so the server sees the writes of one byte in order (I5). An acknowledgement
// cleans what was sent and nothing newer, because newer bytes are in `dirty`.
#include <cassert>

#include "folio_mapping.h"

namespace foliofs::cache {

// One WRITE: dirty bytes in ascending order, from one folio or several.
struct FolioMapping::WriteRun {
  std::vector<ByteRange> ranges;  // adjacent bytes are one range
  std::vector<iovec> parts;
  // One for each part.
  std::vector<BufferRef> buffers;
  std::vector<FolioRef> folios;
  std::uint64_t bytes = 0;

  // Whether `more` may be appended. Bytes adjacent to the last ones may fill the WRITE up, and the
  // rest goes into the next; other bytes are taken only if all of them fit.
  bool takes(ByteRange more, std::uint64_t max_bytes) const {
    if (ranges.empty()) return true;
    if (more.begin == ranges.back().end) return bytes < max_bytes;
    return bytes + more.size() <= max_bytes && ranges.size() < kMaxWriteRanges;
  }

  // Appends as much of `more`, which is `writing` in the folio, as fits. Returns the end of it.
  std::uint64_t append(const FolioRef& folio, ByteRange more, std::uint64_t max_bytes) {
    const ByteRange taken{more.begin, std::min(more.end, more.begin + max_bytes - bytes)};
    if (!ranges.empty() && taken.begin == ranges.back().end) {
      ranges.back().end = taken.end;
    } else {
      ranges.push_back(taken);
    }
    parts.push_back({folio->at(taken.begin), taken.size()});
    buffers.push_back(folio->buffer);
    folios.push_back(folio);
    bytes += taken.size();
    ++folio->writes_in_flight;
    return taken.end;
  }

  // Splits it into one WRITE for each range.
  std::vector<WriteRun> apart() && {
    std::vector<WriteRun> runs;
    std::size_t part = 0;
    for (ByteRange range : ranges) {
      WriteRun& run = runs.emplace_back();
      run.ranges = {range};
      for (; run.bytes < range.size(); ++part) {
        run.bytes += parts[part].iov_len;
        run.parts.push_back(parts[part]);
        run.buffers.push_back(std::move(buffers[part]));
        run.folios.push_back(std::move(folios[part]));
      }
    }
    return runs;
  }
};

namespace {

// Whether the error concerns these bytes, so that others may still be written.
bool is_about_bytes(Errno error) {
  return error == Errno(ENOSPC) || error == Errno(EDQUOT) || error == Errno(EFBIG) ||
         error == Errno(EIO);
}

}  // namespace

bool WritebackPass::is_hopeless() const {
  return error == Errno(ETIMEDOUT) || error == Errno(ENOTCONN) || error == Errno(EINTR);
}

// Gathers the dirty bytes of folio after folio into WRITEs and keeps several of them in flight.
//
// Bytes that are gathered and not sent yet count as under writeback, so others may wait for them.
// Therefore they are sent before this waits for anything but replies to its own WRITEs.
class FolioMapping::PageWriter {
 public:
  PageWriter(FolioMapping& mapping, WritebackPass& pass) : mapping_(mapping), pass_(pass) {}
  PageWriter(const PageWriter&) = delete;
  PageWriter& operator=(const PageWriter&) = delete;

  Task<void> write(FolioRef folio) {
    for (;;) {
      const bool held = folio->under_writeback() || mapping_.writeback_hold_ > 0;
      if (held) issue();
      if (!held && !full()) break;
      co_await mapping_.writeback_changed_.wait();
    }
    if (folio->mapping != &mapping_ || folio->dirty.empty()) co_return;
    mapping_.take_dirty(*folio);
    // A run may be answered while other ranges of the folio are still being gathered. This count
    // keeps the folio in flight until all of them are.
    ++folio->writes_in_flight;
    const RangeSet writing = folio->writing;
    const std::uint64_t max_io = mapping_.core_->config.max_io;
    for (ByteRange rest : writing) {
      while (!rest.empty()) {
        if (!run_.takes(rest, max_io)) {
          while (full()) co_await mapping_.writeback_changed_.wait();
          issue();
        }
        rest.begin = run_.append(folio, rest, max_io);
      }
    }
    if (--folio->writes_in_flight == 0) mapping_.writeback_ended(*folio);
  }

  // Returns when everything that was gathered has been answered.
  Task<void> finish() {
    issue();
    while (in_flight_ > 0) co_await mapping_.writeback_changed_.wait();
  }

 private:
  bool full() const { return in_flight_ >= mapping_.core_->config.writes_in_flight; }

  void issue() {
    if (run_.parts.empty()) return;
    ++in_flight_;
    spawn(mapping_.core_->executor, "writeback",
          send(mapping_.shared_from_this(), *this, std::exchange(run_, WriteRun{})));
  }

  // finish() waits for it, so `writer` stays alive.
  static Task<void> send(std::shared_ptr<FolioMapping> mapping, PageWriter& writer, WriteRun run) {
    co_await mapping->write_run(std::move(run), writer.pass_);
    --writer.in_flight_;
    mapping->writeback_changed_.wake_all();
  }

  FolioMapping& mapping_;
  WritebackPass& pass_;
  WriteRun run_;
  std::uint32_t in_flight_ = 0;
};

Task<void> FolioMapping::writepages(ByteRange range, WritebackPass& pass) {
  auto self = shared_from_this();
  range = range.intersect({0, dirty_end()});
  PageWriter writer(*this, pass);
  for (FolioRef folio = unclean_from(range.begin); folio && folio->range.begin < range.end;
       folio = unclean_from(folio->range.end)) {
    co_await writer.write(folio);
    if (pass.is_hopeless() || (pass.only_try && pass.error)) break;
  }
  co_await writer.finish();
}

Task<bool> FolioMapping::write_folio_alone(FolioRef folio, WritebackPass& pass) {
  auto self = shared_from_this();
  co_await wait_for_writeback(*folio);
  if (folio->mapping != this || folio->dirty.empty()) co_return false;
  take_dirty(*folio);
  ++folio->writes_in_flight;  // until the last part is answered
  const RangeSet writing = folio->writing;
  const std::uint64_t max_io = core_->config.max_io;
  bool written = true;
  WriteRun run;
  for (ByteRange rest : writing) {
    while (!rest.empty()) {
      if (!run.takes(rest, max_io)) {
        const bool acknowledged = co_await write_run(std::exchange(run, WriteRun{}), pass);
        written = written && acknowledged;
      }
      rest.begin = run.append(folio, rest, max_io);
    }
  }
  const bool acknowledged = co_await write_run(std::move(run), pass);
  written = written && acknowledged;
  if (--folio->writes_in_flight == 0) writeback_ended(*folio);
  co_return written;
}

// Snapshots the folio: its dirty bytes become `writing`.
void FolioMapping::take_dirty(Folio& folio) {
  assert(folio.writing.empty() && !folio.under_writeback());
  folio.writing = std::exchange(folio.dirty, RangeSet{});
  folio.sent_dseq = folio.dseq;
  folio.sent_gen = gen_;
  folio.write_error.reset();
  core_->stats.writeback_bytes += folio.writing.size();
  ++writes_pending_;
}

// Sends one WRITE. True when the server has acknowledged all of it.
//
// If it fails for a reason that may not hold for each of its ranges, they are tried one by one: a
// full disk has room for ranges that only overwrite bytes. The failure is reported all the same.
Task<bool> FolioMapping::write_run(WriteRun run, WritebackPass& pass) {
  co_await reach(FaultPoint::kAfterSnapshot);
  Status status = co_await send(run, pass);
  if (status || run.ranges.size() == 1 || pass.only_try || !is_about_bytes(status.error())) {
    sent(std::move(run), status, pass);
    co_return status.has_value();
  }
  errors_.record(status.error());
  pass.error = status.error();
  bool written = true;
  for (WriteRun& single : std::move(run).apart()) {
    if (status || is_about_bytes(status.error())) status = co_await send(single, pass);
    sent(std::move(single), status, pass);
    written = written && status;
  }
  co_return written;
}

Task<Status> FolioMapping::send(const WriteRun& run, WritebackPass& pass) {
  StoreWrite request;
  request.ranges = run.ranges;
  request.from = run.parts;
  request.for_invalidation = pass.for_invalidation;
  Status status = co_await store_->write(request);
  ++pass.write_calls;
  if (!status) ++core_->stats.write_errors;
  co_await reach(FaultPoint::kAfterAcknowledge);
  co_return status;
}

// Handles the final answer to `run`.
void FolioMapping::sent(WriteRun run, const Status& status, WritebackPass& pass) {
  run.buffers.clear();
  if (status) {
    pass.bytes_written += run.bytes;
  } else {
    note_write_error(run, status.error());
    pass.error = status.error();
  }
  for (const FolioRef& folio : run.folios) {
    if (--folio->writes_in_flight == 0) writeback_ended(*folio);
  }
}

void FolioMapping::note_write_error(const WriteRun& run, Errno error) {
  errors_.record(error);
  for (const FolioRef& folio : run.folios) {
    folio->write_error = error;
    if (folio->mapping == this) set_failed(*folio, true);
  }
  if (failed_folios_ > 0) core_->mapping_failed(*this, error);
}

// Every part of the folio's `writing` bytes has been answered.
void FolioMapping::writeback_ended(Folio& folio) {
  const std::uint64_t before = unclean_bytes(folio);
  core_->stats.writeback_bytes -= folio.writing.size();
  if (folio.write_error) {
    folio.dirty.add(folio.writing);
  } else {
    folio.wseq = std::max(folio.wseq, folio.sent_dseq);
    overtake_fills(folio.writing);
    // Sent before an invalidation began, so another client may have overwritten it since.
    if (folio.sent_gen != gen_) {
      folio.valid.subtract(folio.writing);
      folio.valid.add(folio.dirty);
    }
    if (folio.mapping == this) set_failed(folio, false);
  }
  folio.writing.clear();
  if (folio.mapping == this) settle(folio, before);
  --writes_pending_;
  writeback_changed_.wake_all();
}

// Waits until the folio has no WRITE in flight and a new one may begin.
Task<void> FolioMapping::wait_for_writeback(Folio& folio) {
  while (folio.under_writeback() || writeback_hold_ > 0) co_await writeback_changed_.wait();
}

}  // namespace foliofs::cache
