// The lines of JSON that the control socket exchanges.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace foliofs::control {

// With the newline. Bytes that are not UTF-8 are replaced, because names and messages can be any
// bytes.
std::string to_line(const nlohmann::json& message);

// Parses a line, with or without its newline. If it is not JSON, the result is not an object.
nlohmann::json parse_line(std::string_view line);

}  // namespace foliofs::control
