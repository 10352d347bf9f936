// CommandHandler: carries out the commands of the control socket. server.h receives them and
// decides who may send them.
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

// Tells the peer how far a command has come. Never waits: a line that does not fit into the
// socket's buffer is dropped. Valid until the command returns.
using Progress = std::function<void(const nlohmann::json&)>;

class CommandHandler {
 public:
  virtual ~CommandHandler() = default;

  // `request` is an object. Returns {"result": …} or {"refusal": "one line"}.
  virtual Task<nlohmann::json> run(Peer peer, nlohmann::json request, Progress progress) = 0;
};

// Make the two kinds of reply.
nlohmann::json result_reply(nlohmann::json result);
nlohmann::json refusal_reply(std::string text);

}  // namespace foliofs::control
