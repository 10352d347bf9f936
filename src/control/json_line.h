// The lines of JSON that the control socket speaks.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace foliofs::control {

// With the newline. What is not UTF-8 is replaced: names and messages are bytes.
std::string to_line(const nlohmann::json& message);

// Takes a line apart, with or without its newline. What is not JSON is no object.
nlohmann::json parse_line(std::string_view line);

}  // namespace foliofs::control
