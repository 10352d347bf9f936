#include "submounts.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace foliofs::fuse {

bool has_submounts(std::istream& mountinfo, std::string_view device) {
  std::set<std::string> ours;         // ids of the mounts of this device: it may be bound elsewhere
  std::vector<std::string> below_of;  // of every mount, the one it is on
  for (std::string line; std::getline(mountinfo, line);) {
    std::istringstream fields(line);
    std::string id, parent, its_device;
    if (!(fields >> id >> parent >> its_device)) continue;
    if (its_device == device) ours.insert(id);
    below_of.push_back(std::move(parent));
  }
  return std::any_of(below_of.begin(), below_of.end(),
                     [&ours](const std::string& parent) { return ours.contains(parent); });
}

}  // namespace foliofs::fuse
