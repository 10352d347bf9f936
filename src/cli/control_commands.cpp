#include "control_commands.h"

#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "find_mount.h"
#include "foliofs/base/mount_table.h"
#include "foliofs/control/client.h"
#include "foliofs/control/requests.h"
#include "option_list.h"
#include "stats_table.h"
#include "text.h"

namespace foliofs::cli {
namespace {

using nlohmann::json;

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

std::string dump(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

}  // namespace

int run_set(const std::string& mount_point, const std::vector<std::string>& settings) {
  const auto mount = find_mount(mount_point);
  if (!mount) return fail("set", mount.error().text);
  const auto request = control::set_request(split_options(settings));
  const auto answer = control::ask_daemon(mount.value(), request);
  return answer ? 0 : fail("set", answer.error().text);
}

int run_invalidate(const InvalidateWords& words) {
  const auto place = find_path_on_mount(words.path);
  if (!place) return fail("invalidate", place.error().text);
  const auto request = control::invalidate_request(place.value().path, words.mode, !words.no_flush);
  // No timeout: the mount's own timeo limits how long the daemon tries.
  const auto answer = control::ask_daemon(place.value().mount, request, std::nullopt);
  if (!answer) return fail("invalidate", words.path + ": " + answer.error().text);
  const json& report = answer.value();
  print(words.json ? dump(report) : invalidate_text(words.path, report));
  const auto error = report.find("error");
  return error == report.end() || error->is_null() ? 0 : 1;
}

int run_stats(const std::string& mount_point, bool as_json) {
  const auto mount = find_mount(mount_point);
  if (!mount) return fail("stats", mount.error().text);
  const auto answer = control::ask_daemon(mount.value(), control::make_request("stats"));
  if (!answer) return fail("stats", answer.error().text);
  print(as_json ? dump(answer.value()) : stats_text(mount.value(), answer.value()));
  return 0;
}

int run_mounts() {
  const auto table = read_mount_table();
  if (!table) return fail("mounts", "cannot read the mounts: " + errno_text(table.error()));
  for (const MountEntry& entry : table.value()) {
    if (!entry.is_foliofs()) continue;
    print(fmt::format("{} on {} ({})\n", entry.source, entry.mount_point,
                      fmt::join(entry.options, ",")));
  }
  return 0;
}

}  // namespace foliofs::cli
