// Read members of JSON that came over the control socket. A member that is missing or has another
// type is read as empty, and so is every member if `value` is not an object.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace foliofs::control {

std::uint64_t number_member(const nlohmann::json& value, const char* key);
std::string text_member(const nlohmann::json& value, const char* key);
// The reference is into `value`, or to an empty object that lives for ever.
const nlohmann::json& object_member(const nlohmann::json& value, const char* key);

}  // namespace foliofs::control
