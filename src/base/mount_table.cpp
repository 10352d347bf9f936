#include "foliofs/base/mount_table.h"

#include <algorithm>
#include <fstream>
#include <ranges>
#include <set>
#include <sstream>

#include "foliofs/base/parse_integer.h"

namespace foliofs {
namespace {

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
  const auto id = parse_integer<int>(fields[0]);
  const auto parent_id = parse_integer<int>(fields[1]);
  const std::size_t colon = fields[2].find(':');
  if (!id || !parent_id || colon == std::string::npos) return false;
  const auto minor = parse_integer<unsigned>(std::string_view(fields[2]).substr(colon + 1));
  if (!minor) return false;
  entry.id = *id;
  entry.parent_id = *parent_id;
  entry.device = fields[2];
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

bool has_submounts(const MountTable& table, std::string_view device) {
  std::set<int> mounts;  // of the device
  for (const MountEntry& entry : table) {
    if (entry.device == device) mounts.insert(entry.id);
  }
  return std::any_of(table.begin(), table.end(), [&mounts](const MountEntry& entry) {
    return mounts.contains(entry.parent_id);
  });
}

}  // namespace foliofs
