#include "stats_table.h"

#include <spdlog/fmt/fmt.h>

#include <iterator>

#include "foliofs/control/json_members.h"
#include "text.h"

namespace foliofs::cli {
namespace {

using control::number_member;
using control::object_member;
using control::text_member;
using nlohmann::json;

std::string percent(std::uint64_t share, std::uint64_t rest) {
  if (share + rest == 0) return "";
  return fmt::format(" ({:.1f}%)",
                     100.0 * static_cast<double>(share) / static_cast<double>(share + rest));
}

class Page {
 public:
  void heading(std::string_view words) { add("\n{}\n", words); }
  void row(std::string_view name, const std::string& value) { add("  {:<18}{}\n", name, value); }

  template <class... Arguments>
  void add(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
  }

  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void add_cache(Page& page, const json& stats) {
  const json& cache = object_member(stats, "cache");
  const json& readahead = object_member(stats, "readahead");
  const std::uint64_t hits = number_member(cache, "read_hits");
  const std::uint64_t misses = number_member(cache, "read_misses");
  page.heading("Cache");
  page.row("in use", fmt::format("{} of {}, at most {}; {} folios of {} files",
                                 bytes_text(number_member(cache, "bytes")),
                                 bytes_text(number_member(cache, "limit_bytes")),
                                 bytes_text(number_member(cache, "peak_bytes")),
                                 number_member(cache, "folios"), number_member(cache, "mappings")));
  page.row("not written yet", fmt::format("{} dirty, {} of it on the way to the server",
                                          bytes_text(number_member(cache, "dirty_bytes")),
                                          bytes_text(number_member(cache, "writeback_bytes"))));
  page.row("reads", fmt::format("{} from the cache{}, {} from the server", hits,
                                percent(hits, misses), misses));
  page.row("read ahead", fmt::format("{}; {} folios of it were used",
                                     bytes_text(number_member(readahead, "bytes")),
                                     number_member(readahead, "hits")));
  page.row("reclaimed", fmt::format("{} folios", number_member(cache, "reclaimed_folios")));
  page.row("throttled writes", fmt::format("{}", number_member(cache, "throttled_writes")));
  page.row("write errors", fmt::format("{}", number_member(cache, "write_errors")));
  page.row("copies on write", fmt::format("{}", number_member(cache, "cow_copies")));
}

void add_session(Page& page, const json& stats) {
  const json& session = object_member(stats, "session");
  const std::uint64_t silent_us = number_member(session, "silent_us");
  page.heading("Server");
  page.row("state", text_member(session, "state") +
                        (silent_us == 0 ? "" : ", nothing heard for " + duration_text(silent_us)));
  page.row("connections",
           fmt::format("{} made, {} lost; {} sessions begun, {} requests replayed",
                       number_member(session, "connects"), number_member(session, "disconnects"),
                       number_member(session, "sessions"), number_member(session, "replays")));
  page.row("in flight", fmt::format("{} requests", number_member(session, "in_flight")));
}

void add_calls(Page& page, const json& stats) {
  const json& calls = object_member(stats, "rpc");
  page.heading("Requests");
  if (calls.empty()) return page.row("none yet", "");
  page.add("  {:<10}{:>10}{:>8}{:>12}{:>12}{:>10}{:>10}{:>10}{:>10}\n", "", "count", "errors",
           "sent", "received", "mean", "p50 <", "p99 <", "max");
  for (const auto& [name, call] : calls.items()) {
    page.add(
        "  {:<10}{:>10}{:>8}{:>12}{:>12}{:>10}{:>10}{:>10}{:>10}\n", name,
        number_member(call, "count"), number_member(call, "errors"),
        bytes_text(number_member(call, "bytes_sent")),
        bytes_text(number_member(call, "bytes_received")),
        duration_text(number_member(call, "mean_us")), duration_text(number_member(call, "p50_us")),
        duration_text(number_member(call, "p99_us")), duration_text(number_member(call, "max_us")));
  }
}

void add_invalidations(Page& page, const json& stats) {
  page.heading("Invalidations");
  page.add("  {:<10}{:>10}{:>12}{:>10}{:>10}\n", "", "user", "revalidate", "sync", "release");
  for (const auto& [mode, reasons] : object_member(stats, "invalidations").items()) {
    page.add("  {:<10}{:>10}{:>12}{:>10}{:>10}\n", mode, number_member(reasons, "user"),
             number_member(reasons, "revalidate"), number_member(reasons, "sync"),
             number_member(reasons, "release"));
  }
}

void add_options(Page& page, const json& stats) {
  page.heading("Options");
  for (const auto& [key, value] : object_member(stats, "options").items()) {
    page.row(key, value.is_string() ? value.get<std::string>() : value.dump());
  }
}

}  // namespace

std::string stats_text(const MountEntry& mount, const json& stats) {
  Page page;
  page.add("{} on {}\n", mount.source, mount.mount_point);
  page.row("server", text_member(stats, "server"));
  page.row("daemon", fmt::format("pid {}, version {}", number_member(stats, "pid"),
                                 text_member(stats, "version")));
  page.row("known", fmt::format("{} inodes, {} open files, {} open for who reads them next",
                                number_member(stats, "inodes"), number_member(stats, "open_files"),
                                number_member(stats, "idle_opens")));
  const json& leases = object_member(stats, "leases");
  page.row("leases", fmt::format("{} held, {} recalls", number_member(leases, "held"),
                                 number_member(leases, "recalls")));
  add_cache(page, stats);
  add_session(page, stats);
  add_calls(page, stats);
  add_invalidations(page, stats);
  add_options(page, stats);
  return page.take();
}

std::string invalidate_text(const std::string& path, const json& report) {
  Page page;
  const std::string error = text_member(report, "error");
  page.add("{}: {}{}\n", path, text_member(report, "mode"),
           error.empty() ? "" : " failed: " + error);
  page.row(
      "folios",
      fmt::format("{} dropped, {} kept, {} laundered", number_member(report, "folios_dropped"),
                  number_member(report, "folios_kept"), number_member(report, "folios_laundered")));
  page.row("written",
           fmt::format("{} in {} WRITE calls", bytes_text(number_member(report, "bytes_written")),
                       number_member(report, "write_calls")));
  page.row("elapsed", duration_text(number_member(report, "elapsed_us")));
  page.row("writers stood",
           duration_text(number_member(report, "writer_stall_us_max")) + " at most");
  return page.take();
}

}  // namespace foliofs::cli
