// How the command line speaks to people: quantities with their units, and the one line of an error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace foliofs::cli {

// "0 B", "12.5 KiB", "3.0 GiB".
std::string bytes_text(std::uint64_t bytes);

// "850 us", "12.5 ms", "3.2 s".
std::string duration_text(std::uint64_t microseconds);

// "foliofs COMMAND: TEXT" on stderr; "foliofs: TEXT" without a command. Returns the exit status 1.
int fail(std::string_view command, std::string_view text);

}  // namespace foliofs::cli
