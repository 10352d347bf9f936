#include "foliofs/control/command_handler.h"

#include <utility>

namespace foliofs::control {

using nlohmann::json;

json result_reply(json result) {
  json reply = json::object();
  reply["result"] = std::move(result);
  return reply;
}

json refusal_reply(std::string text) {
  json reply = json::object();
  reply["refusal"] = std::move(text);
  return reply;
}

}  // namespace foliofs::control
