#include "foliofs/control/report_json.h"

#include <cmath>
#include <optional>

#include "foliofs/rpc/session.h"

namespace foliofs::control {
namespace {

using nlohmann::json;

json cache_json(const vfs::MountStats& stats, const cache::CacheConfig& config) {
  const cache::CacheStats& cache = stats.cache;
  return {
      {"folios", cache.folios},
      {"bytes", cache.bytes},
      {"limit_bytes", config.cache_size},
      {"peak_bytes", cache.peak_bytes},
      {"dirty_bytes", cache.dirty_bytes},
      {"writeback_bytes", cache.writeback_bytes},
      {"read_hits", cache.read_hits},
      {"read_misses", cache.read_misses},
      {"reclaimed_folios", cache.reclaimed_folios},
      {"throttled_writes", cache.throttled_writes},
      {"write_errors", cache.write_errors},
      {"cow_copies", cache.cow_copies},
      {"mappings", cache.mappings},
  };
}

json call_json(const rpc::CallStats& call) {
  const double mean_us =
      call.count == 0 ? 0 : static_cast<double>(call.total_us) / static_cast<double>(call.count);
  return {
      {"count", call.count},
      {"errors", call.errors},
      {"bytes_sent", call.bytes_sent},
      {"bytes_received", call.bytes_received},
      {"mean_us", std::llround(mean_us)},
      {"p50_us", call.percentile_us(0.5)},
      {"p99_us", call.percentile_us(0.99)},
      {"max_us", call.max_us},
  };
}

json rpc_json(const rpc::RpcStats& stats) {
  json calls = json::object();
  for (const auto& [type, call] : stats.calls) calls[proto::message_name(type)] = call_json(call);
  return calls;
}

const char* state_name(rpc::ConnectionState state) {
  switch (state) {
    case rpc::ConnectionState::kConnecting:
      return "connecting";
    case rpc::ConnectionState::kConnected:
      return "connected";
    case rpc::ConnectionState::kDisconnected:
      return "disconnected";
    case rpc::ConnectionState::kClosed:
      return "closed";
  }
  return "unknown";
}

json session_json(const vfs::MountStats& stats, std::chrono::microseconds silent_us) {
  return {
      {"state", state_name(stats.connection)}, {"connects", stats.rpc.connects},
      {"disconnects", stats.rpc.disconnects},  {"sessions", stats.rpc.sessions},
      {"replays", stats.rpc.replays},          {"in_flight", stats.rpc.in_flight},
      {"silent_us", silent_us.count()},
  };
}

json invalidations_json(const cache::CacheStats& stats) {
  json modes = json::object();
  for (std::size_t mode = 0; mode < cache::kInvalidateModes; ++mode) {
    json& reasons = modes[cache::mode_name(static_cast<cache::InvalidateMode>(mode))];
    for (std::size_t reason = 0; reason < cache::kInvalidateReasons; ++reason) {
      reasons[cache::reason_name(static_cast<cache::InvalidateReason>(reason))] =
          stats.invalidations[mode][reason];
    }
  }
  return modes;
}

// "ENOSPC", or null.
json error_json(const std::optional<Errno>& error) {
  if (!error) return nullptr;
  return errno_name(*error);
}

}  // namespace

json invalidate_json(const cache::InvalidateReport& report) {
  return {
      {"mode", cache::mode_name(report.mode)},
      {"reason", cache::reason_name(report.reason)},
      {"folios_dropped", report.folios_dropped},
      {"folios_kept", report.folios_kept},
      {"folios_laundered", report.folios_laundered},
      {"write_calls", report.write_calls},
      {"bytes_written", report.bytes_written},
      {"elapsed_us", report.elapsed_us.count()},
      {"writer_stall_us_max", report.writer_stall_us_max.count()},
      {"error", error_json(report.error)},
  };
}

json stats_json(const vfs::MountStats& stats, std::chrono::microseconds silent_us,
                const vfs::MountOptions& options) {
  json described = json::object();
  for (const auto& [key, value] : vfs::describe_options(options)) described[key] = value;
  return {
      {"cache", cache_json(stats, options.cache)},
      {"readahead", {{"hits", stats.cache.readahead_hits}, {"bytes", stats.cache.readahead_bytes}}},
      {"rpc", rpc_json(stats.rpc)},
      {"session", session_json(stats, silent_us)},
      {"invalidations", invalidations_json(stats.cache)},
      {"options", std::move(described)},
      {"inodes", stats.inodes},
      {"inode_bytes", stats.inode_bytes},
      {"open_files", stats.open_files},
      {"idle_opens", stats.idle_opens},
      {"leases", {{"held", stats.leases}, {"recalls", stats.lease_recalls}}},
  };
}

}  // namespace foliofs::control
