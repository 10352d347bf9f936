#include "foliofs/control/locate_path.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <deque>
#include <iterator>
#include <ranges>
#include <vector>

namespace foliofs::control {
namespace {

constexpr int kMaxSymlinks = 40;  // the kernel's limit

void push_front_parts(std::deque<std::string>& rest, std::string_view path) {
  std::vector<std::string> parts;
  for (const auto part : std::views::split(path, '/')) parts.emplace_back(part.begin(), part.end());
  rest.insert(rest.begin(), std::make_move_iterator(parts.begin()),
              std::make_move_iterator(parts.end()));
}

// The target of the symlink `path`; empty if it is not a symlink or cannot be read.
std::string link_target(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
  return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

}  // namespace

Result<std::string> locate_path(const MountTable& table, std::string_view path) {
  std::deque<std::string> rest;
  push_front_parts(rest, path);
  if (!path.starts_with('/')) {
    char directory[PATH_MAX];
    if (::getcwd(directory, sizeof directory) == nullptr) return last_errno();
    push_front_parts(rest, directory);
  }
  std::string located;  // has no trailing slash, so "" is the root
  int links = 0;
  while (!rest.empty()) {
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      located.resize(std::min(located.size(), located.rfind('/')));
      continue;
    }
    std::string next = located;
    next += '/';
    next += part;
    const MountEntry* mount = find_covering(table, next);
    const std::string target =
        mount != nullptr && mount->is_foliofs() ? std::string() : link_target(next);
    if (target.empty()) {
      located = next;
      continue;
    }
    if (++links > kMaxSymlinks) return Errno(ELOOP);
    push_front_parts(rest, target);
    if (target.starts_with('/')) located.clear();
  }
  return located.empty() ? "/" : located;
}

}  // namespace foliofs::control
