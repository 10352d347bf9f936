#include "foliofs/control/json_members.h"

namespace foliofs::control {

using nlohmann::json;

std::uint64_t number_member(const json& value, const char* key) {
  if (!value.is_object()) return 0;
  const auto member = value.find(key);
  return member != value.end() && member->is_number() ? member->get<std::uint64_t>() : 0;
}

std::string text_member(const json& value, const char* key) {
  if (!value.is_object()) return "";
  const auto member = value.find(key);
  return member != value.end() && member->is_string() ? member->get<std::string>() : "";
}

const json& object_member(const json& value, const char* key) {
  static const json kEmpty = json::object();
  if (!value.is_object()) return kEmpty;
  const auto member = value.find(key);
  return member != value.end() && member->is_object() ? *member : kEmpty;
}

}  // namespace foliofs::control
