// Submounts: whether something is mounted below a mount.
#pragma once

#include <istream>
#include <string_view>

namespace foliofs::fuse {

// `mountinfo` is as /proc/self/mountinfo (proc(5)); `device` is the mount's "MAJOR:MINOR" in it.
bool has_submounts(std::istream& mountinfo, std::string_view device);

}  // namespace foliofs::fuse
