// What the paths have in common: their names, one pass at a time, the report.
#include "invalidate_paths.h"

namespace foliofs::cache {

const char* mode_name(InvalidateMode mode) {
  switch (mode) {
    case InvalidateMode::kLaunder:
      return "launder";
    case InvalidateMode::kBulk:
      return "bulk";
    case InvalidateMode::kHybrid:
      return "hybrid";
  }
  return "unknown";
}

const char* reason_name(InvalidateReason reason) {
  switch (reason) {
    case InvalidateReason::kUser:
      return "user";
    case InvalidateReason::kRevalidate:
      return "revalidate";
    case InvalidateReason::kSync:
      return "sync";
    case InvalidateReason::kRelease:
      return "release";
  }
  return "unknown";
}

std::optional<InvalidateMode> parse_mode(std::string_view name) {
  for (auto mode : {InvalidateMode::kLaunder, InvalidateMode::kBulk, InvalidateMode::kHybrid}) {
    if (name == mode_name(mode)) return mode;
  }
  return std::nullopt;
}

Task<InvalidateReport> FolioMapping::flush(InvalidateRequest request) {
  request.flush = true;
  co_return co_await run_path(request, /*discard=*/false);
}

Task<InvalidateReport> FolioMapping::invalidate(InvalidateRequest request) {
  auto self = shared_from_this();
  const std::uint64_t ticket = ++tickets_;
  while (invalidating_) {
    co_await invalidation_ended_.wait();
    if (auto report = answered_meanwhile(request, ticket)) co_return *report;
  }
  invalidating_ = true;
  const std::uint64_t began_at_ticket = tickets_;
  InvalidateReport report = co_await run_path(request, /*discard=*/true);
  last_pass_ = LastPass{began_at_ticket, request, report};
  invalidating_ = false;
  invalidation_ended_.wake_all();
  co_return report;
}

// The report of the last pass, if it began after this request was made and did the same thing.
std::optional<InvalidateReport> FolioMapping::answered_meanwhile(InvalidateRequest request,
                                                                 std::uint64_t ticket) const {
  if (!last_pass_ || last_pass_->began_at_ticket < ticket) return std::nullopt;
  const bool same = last_pass_->request.mode == request.mode &&
                    last_pass_->request.reason == request.reason &&
                    last_pass_->request.flush == request.flush;
  if (!same) return std::nullopt;
  return last_pass_->report;
}

Task<InvalidateReport> FolioMapping::run_path(InvalidateRequest request, bool discard) {
  auto self = shared_from_this();
  const TimePoint began = core_->clock.now();
  StallMeter stalls(*this);
  InvalidatePass pass;
  pass.request = request;
  pass.discard = discard;
  pass.writeback.for_invalidation = discard;
  if (discard) begin_generation();
  switch (request.mode) {
    case InvalidateMode::kLaunder:
      co_await invalidate_by_launder(*this, pass);
      break;
    case InvalidateMode::kBulk:
      co_await invalidate_by_bulk(*this, pass);
      break;
    case InvalidateMode::kHybrid:
      co_await invalidate_by_hybrid(*this, pass);
      break;
  }
  InvalidateReport& report = pass.report;
  report.mode = request.mode;
  report.reason = request.reason;
  report.write_calls = pass.writeback.write_calls;
  report.bytes_written = pass.writeback.bytes_written;
  report.elapsed_us = core_->clock.now() - began;
  report.writer_stall_us_max = stalls.longest();
  report.error = pass.writeback.error;
  // Unlike the kernel's merged function, never report "not invalidated" as success.
  if (!report.error && report.folios_kept > 0) report.error = Errno(EBUSY);
  ++core_->stats.invalidations[static_cast<std::size_t>(request.mode)]
                              [static_cast<std::size_t>(request.reason)];
  co_return report;
}

std::uint64_t discard_folios(FolioMapping& mapping, InvalidatePass& pass) {
  std::uint64_t kept = 0;
  FolioRef next;
  for (FolioRef folio = mapping.folio_from(0); folio; folio = next) {
    next = mapping.folio_from(folio->range.end);
    mapping.try_drop(*folio) ? ++pass.report.folios_dropped : ++kept;
  }
  return kept;
}

}  // namespace foliofs::cache
