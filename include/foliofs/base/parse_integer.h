// Integers as people and the kernel write them.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>
#include <system_error>

namespace foliofs {

// The decimal integer that `text` consists of. Nothing if `text` is empty or has anything else in
// it, be it a plus sign or a space, or if the number does not fit.
template <std::integral Integer>
std::optional<Integer> parse_integer(std::string_view text) {
  Integer integer{};
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, integer);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return integer;
}

}  // namespace foliofs
