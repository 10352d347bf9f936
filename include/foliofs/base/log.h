// What the program logs, through spdlog's default logger, with fmt's format strings.
//
// Formats the line before spdlog gets it: spdlog's own templates would make each file that logs
// take as long again to compile.
#pragma once

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <string_view>
#include <utility>

namespace foliofs {

template <class... Args>
void log_line(spdlog::level::level_enum level, fmt::format_string<Args...> format, Args&&... args) {
  if (!spdlog::should_log(level)) return;
  spdlog::log(level, std::string_view(fmt::format(format, std::forward<Args>(args)...)));
}

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_line(spdlog::level::debug, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(spdlog::level::info, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  log_line(spdlog::level::warn, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(spdlog::level::err, format, std::forward<Args>(args)...);
}

}  // namespace foliofs
