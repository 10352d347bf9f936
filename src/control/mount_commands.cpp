#include "foliofs/control/mount_commands.h"

#include <unistd.h>

#include <utility>

#include "foliofs/control/drain_report.h"
#include "foliofs/control/json_members.h"
#include "foliofs/control/report_json.h"

namespace foliofs::control {
namespace {

using nlohmann::json;

// Empty if the member is not an array of bytes.
std::optional<std::string> bytes_member(const json& object, const char* key) {
  const auto member = object.find(key);
  if (member == object.end() || !member->is_array()) return std::nullopt;
  std::string bytes;
  for (const json& byte : *member) {
    if (!byte.is_number_unsigned() || byte.get<std::uint64_t>() > 255) return std::nullopt;
    bytes += static_cast<char>(byte.get<std::uint8_t>());
  }
  return bytes;
}

using vfs::OptionPair;

std::optional<std::vector<OptionPair>> option_pairs(const json& request) {
  const auto options = request.find("options");
  if (options == request.end() || !options->is_array()) return std::nullopt;
  std::vector<OptionPair> pairs;
  for (const json& option : *options) {
    if (!option.is_array() || option.size() != 2) return std::nullopt;
    if (!option[0].is_string() || !option[1].is_string()) return std::nullopt;
    pairs.emplace_back(option[0].get<std::string>(), option[1].get<std::string>());
  }
  return pairs;
}

}  // namespace

MountCommands::MountCommands(vfs::Mount& mount, rpc::Session& session, Hooks hooks)
    : mount_(mount), session_(session), hooks_(std::move(hooks)) {}

Task<json> MountCommands::run(Peer peer, json request, Progress progress) {
  const std::string command = text_member(request, "command");
  if (command == "stats") co_return result_reply(stats());
  if (command == "set") co_return set(request);
  if (command == "abandon") co_return abandon();
  if (command == "drain") co_return co_await drain(std::move(progress));
  if (command == "invalidate") {
    co_return co_await invalidate(std::move(peer), std::move(request));
  }
  co_return refusal_reply("this daemon (version " FOLIOFS_VERSION ") has no command \"" + command +
                          "\"");
}

json MountCommands::stats() const {
  const vfs::MountOptions& options = mount_.options();
  json stats = stats_json(mount_.stats(), session_.silent_for_us(), options);
  stats["server"] = vfs::server_address(options);
  stats["version"] = FOLIOFS_VERSION;
  stats["pid"] = ::getpid();
  return stats;
}

json MountCommands::set(const json& request) {
  const auto pairs = option_pairs(request);
  if (!pairs) return refusal_reply("set needs options, an array of pairs");
  const auto changed = mount_.set_live_options(*pairs);
  if (!changed) return refusal_reply(changed.error().text);
  hooks_.options_changed(mount_.options());
  return result_reply(nullptr);
}

Task<json> MountCommands::invalidate(Peer peer, json request) {
  const auto path = bytes_member(request, "path_bytes");
  if (!path) co_return refusal_reply("invalidate needs path_bytes, an array of bytes");
  std::optional<cache::InvalidateMode> mode;
  if (request.contains("mode")) {
    const std::string name = text_member(request, "mode");
    mode = cache::parse_mode(name);
    if (!mode) {
      co_return refusal_reply("there is no mode \"" + name +
                              "\"; there are launder, bulk and hybrid");
    }
  }
  const bool flush = request.value("flush", json(true)) != json(false);
  vfs::Caller caller{peer.uid, peer.gid, std::move(peer.groups)};
  auto report = co_await mount_.invalidate(std::move(caller), *path, mode, flush);
  if (!report) {
    const char* hint =
        report.error() == Errno(EISDIR) ? "; name a regular file that is on the mount" : "";
    co_return refusal_reply(errno_text(report.error()) + hint);
  }
  co_return result_reply(invalidate_json(report.value()));
}

Task<json> MountCommands::drain(Progress progress) {
  auto on_progress = drain_progress(std::move(progress));
  const auto drained = co_await mount_.drain(std::move(on_progress));
  co_return result_reply(make_drain_report(drained, mount_.stats().cache.dirty_bytes));
}

json MountCommands::abandon() {
  json result = json::object();
  result["dirty_bytes"] = mount_.stats().cache.dirty_bytes;
  hooks_.abandon();
  return result_reply(std::move(result));
}

}  // namespace foliofs::control
