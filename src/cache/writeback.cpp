// Writeback: dirty bytes become WRITE requests.
//
// A folio is snapshotted as a whole: its dirty ranges become `writing`, its buffer is shared with
// the requests, and later stores go to a copy. While any of `writing` is unanswered the folio is
// not snapshotted again, so the server sees the writes of one byte in their order (I5). An
// acknowledgement cleans what was sent and nothing newer, because newer bytes are in `dirty`.
#include <cassert>

#include "folio_mapping.h"

namespace foliofs::cache {

// One WRITE: neighbouring dirty bytes, from one folio or several.
struct FolioMapping::WriteRun {
  ByteRange range;
  std::vector<iovec> parts;
  std::vector<BufferRef> buffers;
  std::vector<FolioRef> folios;

  bool takes(ByteRange more, std::uint64_t max_bytes) const {
    return parts.empty() || (more.begin == range.end && range.size() < max_bytes);
  }

  // Takes as much of `more`, which the folio has as `writing`, as fits. Returns where it stopped.
  std::uint64_t append(const FolioRef& folio, ByteRange more, std::uint64_t max_bytes) {
    if (parts.empty()) range = {more.begin, more.begin};
    const std::uint64_t end = std::min(more.end, range.begin + max_bytes);
    parts.push_back({folio->at(more.begin), end - more.begin});
    buffers.push_back(folio->buffer);
    folios.push_back(folio);
    ++folio->writes_in_flight;
    range.end = end;
    return end;
  }
};

// The WRITEs of one pass that are under way. Lives in the pass's own frame, which waits for them.
struct FolioMapping::PassInFlight {
  WritebackPass& pass;
  std::uint32_t count = 0;
  WaitQueue changed;
};

namespace {

// Errors after which further WRITEs of the same pass would only wait as long and fail as well.
bool server_is_away(Errno error) {
  return error == Errno(ETIMEDOUT) || error == Errno(ENOTCONN) || error == Errno(EINTR);
}

}  // namespace

Task<void> FolioMapping::writepages(ByteRange range, WritebackPass& pass) {
  auto self = shared_from_this();
  PassInFlight in_flight{pass, 0, {}};
  WriteRun run;
  auto issue = [&]() {
    if (run.parts.empty()) return;
    ++in_flight.count;
    spawn(core_->executor, "writeback",
          write_run_detached(self, std::exchange(run, WriteRun{}), in_flight));
  };

  for (FolioRef folio = folio_from(range.begin); folio && folio->range.begin < range.end;
       folio = folio_from(folio->range.end)) {
    if (folio->clean()) continue;
    if (folio->under_writeback() || writeback_hold_ > 0) {
      issue();  // whoever holds us up may be waiting for what has been gathered
      co_await wait_for_writeback(*folio);
    }
    while (in_flight.count >= core_->config.writes_in_flight) co_await in_flight.changed.wait();
    if (pass.error && server_is_away(*pass.error)) break;
    if (folio->under_writeback() || writeback_hold_ > 0) {
      co_await wait_for_writeback(*folio);
    }
    if (folio->mapping != this || folio->dirty.empty()) continue;
    take_dirty(*folio);
    // A run may be answered while its folio's other ranges are still being gathered: the folio
    // counts as in flight until all of them are.
    ++folio->writes_in_flight;
    const RangeSet writing = folio->writing;
    for (ByteRange rest : writing) {
      while (!rest.empty()) {
        if (!run.takes(rest, core_->config.max_io)) issue();
        rest.begin = run.append(folio, rest, core_->config.max_io);
      }
    }
    if (--folio->writes_in_flight == 0) writeback_ended(*folio);
  }
  issue();
  while (in_flight.count > 0) co_await in_flight.changed.wait();
  if (!pass.error && failed) core_->mapping_recovered(*this);
}

Task<void> FolioMapping::write_folio_alone(FolioRef folio, WritebackPass& pass) {
  auto self = shared_from_this();
  co_await wait_for_writeback(*folio);
  if (folio->mapping != this || folio->dirty.empty()) co_return;
  take_dirty(*folio);
  std::deque<WriteRun> runs;
  for (const ByteRange& part : folio->writing) {
    runs.emplace_back().append(folio, part, core_->config.max_io);
  }
  while (!runs.empty()) {
    WriteRun run = std::move(runs.front());
    runs.pop_front();
    co_await write_run(std::move(run), pass);
  }
}

// Turns the folio's dirty bytes into bytes being written.
void FolioMapping::take_dirty(Folio& folio) {
  assert(folio.writing.empty() && !folio.under_writeback());
  folio.writing = std::exchange(folio.dirty, RangeSet{});
  folio.sent_dseq = folio.dseq;
  folio.sent_gen = gen_;
  folio.write_error.reset();
  ++writes_pending_;
}

Task<void> FolioMapping::write_run(WriteRun run, WritebackPass& pass) {
  co_await reach(FaultPoint::kAfterSnapshot);
  StoreWrite request;
  request.offset = run.range.begin;
  request.from = run.parts;
  request.for_invalidation = pass.for_invalidation;
  Status status = co_await store_->write(request);
  co_await reach(FaultPoint::kAfterAcknowledge);

  ++pass.write_calls;
  run.buffers.clear();
  if (status) {
    pass.bytes_written += run.range.size();
  } else {
    pass.error = status.error();
    ++core_->stats.write_errors;
    errors_.record(status.error());
    core_->mapping_failed(*this, status.error());
  }
  for (const FolioRef& folio : run.folios) {
    if (!status) folio->write_error = status.error();
    if (--folio->writes_in_flight == 0) writeback_ended(*folio);
  }
}

Task<void> FolioMapping::write_run_detached(std::shared_ptr<FolioMapping> mapping, WriteRun run,
                                            PassInFlight& in_flight) {
  co_await mapping->write_run(std::move(run), in_flight.pass);
  --in_flight.count;
  in_flight.changed.wake_all();
}

// Every part of what was being written is answered.
void FolioMapping::writeback_ended(Folio& folio) {
  const std::uint64_t before = folio.dirty.size() + folio.writing.size();
  if (folio.write_error) {
    folio.dirty.add(folio.writing);
  } else {
    folio.wseq = std::max(folio.wseq, folio.sent_dseq);
    // Sent before an invalidation began, so somebody may have overwritten it on the server since.
    if (folio.sent_gen != gen_) {
      folio.valid.subtract(folio.writing);
      folio.valid.add(folio.dirty);
      void_fills(folio.range);
    }
  }
  folio.writing.clear();
  if (folio.mapping == this) account_dirty(before, folio.dirty.size());
  --writes_pending_;
  writeback_changed_.wake_all();
}

// Until the folio has no WRITE in flight and new ones may begin.
Task<void> FolioMapping::wait_for_writeback(Folio& folio) {
  while (folio.under_writeback() || writeback_hold_ > 0) co_await writeback_changed_.wait();
}

}  // namespace foliofs::cache
