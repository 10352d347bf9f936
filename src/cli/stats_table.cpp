#include "stats_table.h"

#include <spdlog/fmt/fmt.h>

#include <iterator>

#include "text.h"

namespace foliofs::cli {
namespace {

using nlohmann::json;

std::uint64_t number(const json& object, const char* key) {
  if (!object.is_object()) return 0;
  const auto member = object.find(key);
  return member != object.end() && member->is_number() ? member->get<std::uint64_t>() : 0;
}

std::string text(const json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto member = object.find(key);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

const json& part(const json& object, const char* key) {
  static const json kEmpty = json::object();
  if (!object.is_object()) return kEmpty;
  const auto member = object.find(key);
  return member != object.end() && member->is_object() ? *member : kEmpty;
}

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
  const json& cache = part(stats, "cache");
  const json& readahead = part(stats, "readahead");
  const std::uint64_t hits = number(cache, "read_hits");
  const std::uint64_t misses = number(cache, "read_misses");
  page.heading("Cache");
  page.row(
      "in use",
      fmt::format("{} of {}, at most {}; {} folios of {} files", bytes_text(number(cache, "bytes")),
                  bytes_text(number(cache, "limit_bytes")), bytes_text(number(cache, "peak_bytes")),
                  number(cache, "folios"), number(cache, "mappings")));
  page.row("not written yet", fmt::format("{} dirty, {} of it on the way to the server",
                                          bytes_text(number(cache, "dirty_bytes")),
                                          bytes_text(number(cache, "writeback_bytes"))));
  page.row("reads", fmt::format("{} from the cache{}, {} from the server", hits,
                                percent(hits, misses), misses));
  page.row("read ahead",
           fmt::format("{}; {} folios of it were used", bytes_text(number(readahead, "bytes")),
                       number(readahead, "hits")));
  page.row("reclaimed", fmt::format("{} folios", number(cache, "reclaimed_folios")));
  page.row("throttled writes", fmt::format("{}", number(cache, "throttled_writes")));
  page.row("write errors", fmt::format("{}", number(cache, "write_errors")));
  page.row("copies on write", fmt::format("{}", number(cache, "cow_copies")));
}

void add_session(Page& page, const json& stats) {
  const json& session = part(stats, "session");
  const std::uint64_t silent_us = number(session, "silent_us");
  page.heading("Server");
  page.row("state", text(session, "state") +
                        (silent_us == 0 ? "" : ", nothing heard for " + duration_text(silent_us)));
  page.row("connections", fmt::format("{} made, {} lost; {} sessions begun, {} requests replayed",
                                      number(session, "connects"), number(session, "disconnects"),
                                      number(session, "sessions"), number(session, "replays")));
  page.row("in flight", fmt::format("{} requests", number(session, "in_flight")));
}

void add_calls(Page& page, const json& stats) {
  const json& calls = part(stats, "rpc");
  page.heading("Requests");
  if (calls.empty()) return page.row("none yet", "");
  page.add("  {:<10}{:>10}{:>8}{:>12}{:>12}{:>10}{:>10}{:>10}{:>10}\n", "", "count", "errors",
           "sent", "received", "mean", "p50 <", "p99 <", "max");
  for (const auto& [name, call] : calls.items()) {
    page.add("  {:<10}{:>10}{:>8}{:>12}{:>12}{:>10}{:>10}{:>10}{:>10}\n", name,
             number(call, "count"), number(call, "errors"), bytes_text(number(call, "bytes_sent")),
             bytes_text(number(call, "bytes_received")), duration_text(number(call, "mean_us")),
             duration_text(number(call, "p50_us")), duration_text(number(call, "p99_us")),
             duration_text(number(call, "max_us")));
  }
}

void add_invalidations(Page& page, const json& stats) {
  page.heading("Invalidations");
  page.add("  {:<10}{:>10}{:>12}{:>10}{:>10}\n", "", "user", "revalidate", "close", "release");
  for (const auto& [mode, reasons] : part(stats, "invalidations").items()) {
    page.add("  {:<10}{:>10}{:>12}{:>10}{:>10}\n", mode, number(reasons, "user"),
             number(reasons, "revalidate"), number(reasons, "close"), number(reasons, "release"));
  }
}

void add_options(Page& page, const json& stats) {
  page.heading("Options");
  for (const auto& [key, value] : part(stats, "options").items()) {
    page.row(key, value.is_string() ? value.get<std::string>() : value.dump());
  }
}

}  // namespace

std::string stats_text(const MountEntry& mount, const json& stats) {
  Page page;
  page.add("{} on {}\n", mount.source, mount.mount_point);
  page.row("server", text(stats, "server"));
  page.row("daemon",
           fmt::format("pid {}, version {}", number(stats, "pid"), text(stats, "version")));
  page.row("known", fmt::format("{} inodes, {} open files, {} open for who reads them next",
                                number(stats, "inodes"), number(stats, "open_files"),
                                number(stats, "idle_opens")));
  const json& leases = part(stats, "leases");
  page.row("leases",
           fmt::format("{} held, {} recalls", number(leases, "held"), number(leases, "recalls")));
  add_cache(page, stats);
  add_session(page, stats);
  add_calls(page, stats);
  add_invalidations(page, stats);
  add_options(page, stats);
  return page.take();
}

std::string invalidate_text(const std::string& path, const json& report) {
  Page page;
  const std::string error = text(report, "error");
  page.add("{}: {}{}\n", path, text(report, "mode"), error.empty() ? "" : " failed: " + error);
  page.row("folios",
           fmt::format("{} dropped, {} kept, {} laundered", number(report, "folios_dropped"),
                       number(report, "folios_kept"), number(report, "folios_laundered")));
  page.row("written",
           fmt::format("{} in {} WRITE calls", bytes_text(number(report, "bytes_written")),
                       number(report, "write_calls")));
  page.row("elapsed", duration_text(number(report, "elapsed_us")));
  page.row("writers stood", duration_text(number(report, "writer_stall_us_max")) + " at most");
  return page.take();
}

}  // namespace foliofs::cli
