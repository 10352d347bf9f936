#include "json_line.h"

namespace foliofs::control {

using nlohmann::json;

std::string to_line(const json& message) {
  return message.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace) + '\n';
}

json parse_line(std::string_view line) {
  return json::parse(line, nullptr, /*allow_exceptions=*/false);
}

}  // namespace foliofs::control
