// Members of JSON that has come over the control socket: what is missing or of another kind, also
// because `value` is no object, is empty.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace foliofs::control {

std::uint64_t number_member(const nlohmann::json& value, const char* key);
std::string text_member(const nlohmann::json& value, const char* key);
// Refers to `value`, or to an object that lives for ever.
const nlohmann::json& object_member(const nlohmann::json& value, const char* key);

}  // namespace foliofs::control
