// CommandHandler: what the commands of the control socket mean, apart from how they come and who
// may send them (server.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foliofs/base/task.h"

namespace foliofs::control {

struct Peer {
  pid_t pid = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;  // supplementary
};

// Tells the peer how far a command is. Never waits: a line that does not fit is left out. Valid
// until the command returns.
using Progress = std::function<void(const nlohmann::json&)>;

class CommandHandler {
 public:
  virtual ~CommandHandler() = default;

  // `request` is an object. Returns {"result": …} or {"refusal": "one line"}.
  virtual Task<nlohmann::json> run(Peer peer, nlohmann::json request, Progress progress) = 0;
};

// The two replies.
nlohmann::json result_reply(nlohmann::json result);
nlohmann::json refusal_reply(std::string text);

}  // namespace foliofs::control
