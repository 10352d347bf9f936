// The names of an open descriptor in /proc/self/fd, for system calls that take no descriptor.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace foliofs::server {

// The name in the directory /proc/self/fd.
class FdName {
 public:
  explicit FdName(int fd) { *std::to_chars(text_.begin(), text_.end() - 1, fd).ptr = '\0'; }
  const char* c_str() const { return text_.data(); }

 private:
  std::array<char, 16> text_;
};

// The whole path.
class FdPath {
 public:
  explicit FdPath(int fd) {
    constexpr std::string_view kPrefix = "/proc/self/fd/";
    char* end = std::copy(kPrefix.begin(), kPrefix.end(), text_.begin());
    *std::to_chars(end, text_.end() - 1, fd).ptr = '\0';
  }
  const char* c_str() const { return text_.data(); }

 private:
  std::array<char, 32> text_;
};

}  // namespace foliofs::server
