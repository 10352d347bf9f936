#include "find_mount.h"

#include "foliofs/control/locate_path.h"

namespace foliofs::cli {
namespace {

struct Located {
  MountTable table;
  std::string path;
};

RefusalOr<Located> locate(const std::string& path) {
  if (path.empty()) return Refusal{"the path is empty"};
  auto table = read_mount_table();
  if (!table) return Refusal{"cannot read the mounts: " + errno_text(table.error())};
  const auto located = control::locate_path(table.value(), path);
  if (!located) return Refusal{path + ": " + errno_text(located.error())};
  return Located{std::move(table.value()), located.value()};
}

}  // namespace

RefusalOr<MountEntry> find_mount(const std::string& path) {
  BOOST_OUTCOME_TRY(const auto located, locate(path));
  const MountEntry* entry = find_mount_point(located.table, located.path);
  if (entry == nullptr || !entry->is_foliofs()) {
    return Refusal{path + " is not a mount point of foliofs; foliofs mounts lists them"};
  }
  return *entry;
}

RefusalOr<PathOnMount> find_path_on_mount(const std::string& path) {
  BOOST_OUTCOME_TRY(const auto located, locate(path));
  const MountEntry* entry = find_covering(located.table, located.path);
  if (entry == nullptr || !entry->is_foliofs()) {
    return Refusal{path + " is not on a foliofs mount; foliofs mounts lists them"};
  }
  std::string relative = located.path.substr(entry->mount_point.size());
  if (relative.starts_with('/')) relative.erase(0, 1);
  return PathOnMount{*entry, std::move(relative)};
}

}  // namespace foliofs::cli
