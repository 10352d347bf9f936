#include "text.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstdio>

namespace foliofs::cli {

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string duration_text(std::uint64_t microseconds) {
  const double value = static_cast<double>(microseconds);
  if (microseconds < 1'000) return fmt::format("{} us", microseconds);
  if (microseconds < 1'000'000) return fmt::format("{:.1f} ms", value / 1e3);
  return fmt::format("{:.1f} s", value / 1e6);
}

int fail(std::string_view command, std::string_view text) {
  const std::string line = command.empty() ? fmt::format("foliofs: {}\n", text)
                                           : fmt::format("foliofs {}: {}\n", command, text);
  std::fputs(line.c_str(), stderr);
  return 1;
}

}  // namespace foliofs::cli
