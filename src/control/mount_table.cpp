#include "foliofs/control/mount_table.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <deque>
#include <fstream>
#include <iterator>
#include <ranges>
#include <sstream>

#include "foliofs/base/parse_integer.h"

namespace foliofs::control {
namespace {

constexpr int kMaxSymlinks = 40;  // as the kernel's own limit

// The kernel writes space, tab, newline, backslash and '#' as \ooo.
std::string unescape(std::string_view text) {
  const auto octal = [](char c) {
    return c >= '0' && c <= '7';
  };
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) &&
        octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (const auto part : std::views::split(text, separator)) {
    parts.emplace_back(part.begin(), part.end());
  }
  return parts;
}

// "36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue", proc(5).
bool parse_line(std::string_view line, MountEntry& entry) {
  const auto fields = split(line, ' ');
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (dash - fields.begin() < 6 || fields.end() - dash < 4) return false;
  entry.device = fields[2];
  const std::size_t colon = entry.device.find(':');
  if (colon == std::string::npos) return false;
  const auto minor = parse_integer<unsigned>(std::string_view(entry.device).substr(colon + 1));
  if (!minor) return false;
  entry.minor = *minor;
  entry.mount_point = unescape(fields[4]);
  entry.type = unescape(dash[1]);
  entry.source = unescape(dash[2]);
  entry.options = split(fields[5], ',');
  constexpr std::string_view kOwner = "user_id=";
  for (const std::string& option : split(dash[3], ',')) {
    if (option.starts_with(kOwner)) {
      const auto owner = parse_integer<uid_t>(std::string_view(option).substr(kOwner.size()));
      entry.owner = owner.value_or(entry.owner);
    }
    entry.options.push_back(option);
  }
  return true;
}

bool is_below(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

void push_front_parts(std::deque<std::string>& rest, std::string_view path) {
  auto parts = split(path, '/');
  rest.insert(rest.begin(), std::make_move_iterator(parts.begin()),
              std::make_move_iterator(parts.end()));
}

// The target of the symlink `path`; empty when it is none, or cannot be read.
std::string link_target(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
  return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

}  // namespace

MountTable parse_mount_table(std::string_view mountinfo) {
  MountTable table;
  for (const std::string& line : split(mountinfo, '\n')) {
    MountEntry entry;
    if (parse_line(line, entry)) table.push_back(std::move(entry));
  }
  return table;
}

Result<MountTable> read_mount_table() {
  errno = 0;
  std::ifstream file("/proc/self/mountinfo");
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || !text) return Errno(errno != 0 ? errno : EIO);
  return parse_mount_table(text.view());
}

const MountEntry* find_mount_point(const MountTable& table, std::string_view path) {
  for (const MountEntry& entry : std::views::reverse(table)) {
    if (entry.mount_point == path) return &entry;
  }
  return nullptr;
}

const MountEntry* find_covering(const MountTable& table, std::string_view path) {
  const MountEntry* best = nullptr;
  for (const MountEntry& entry : table) {
    if (!is_below(path, entry.mount_point)) continue;
    if (best == nullptr || entry.mount_point.size() >= best->mount_point.size()) best = &entry;
  }
  return best;
}

Result<std::string> locate_path(const MountTable& table, std::string_view path) {
  std::deque<std::string> rest;
  push_front_parts(rest, path);
  if (!path.starts_with('/')) {
    char directory[PATH_MAX];
    if (::getcwd(directory, sizeof directory) == nullptr) return last_errno();
    push_front_parts(rest, directory);
  }
  std::string located;  // without a slash at its end, so "" is the root
  int links = 0;
  while (!rest.empty()) {
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      located.resize(std::min(located.size(), located.rfind('/')));
      continue;
    }
    const std::string next = located + '/' + part;
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
