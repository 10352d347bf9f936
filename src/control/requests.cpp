#include "foliofs/control/requests.h"

#include <vector>

namespace foliofs::control {

using nlohmann::json;

json make_request(std::string_view command) {
  json request = json::object();
  request["command"] = command;
  return request;
}

json set_request(std::span<const vfs::OptionPair> options) {
  json request = make_request("set");
  request["options"] = options;
  return request;
}

json invalidate_request(std::string_view path, std::string_view mode, bool flush) {
  json request = make_request("invalidate");
  request["path_bytes"] = std::vector<unsigned char>(path.begin(), path.end());
  request["flush"] = flush;
  if (!mode.empty()) request["mode"] = mode;
  return request;
}

}  // namespace foliofs::control
