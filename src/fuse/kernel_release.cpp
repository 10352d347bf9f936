#include "kernel_release.h"

#include <sys/utsname.h>

#include <charconv>
#include <utility>

namespace foliofs::fuse {

std::string running_kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : "";
}

bool kernel_expires_absent_names(std::string_view release) {
  std::pair<int, int> version;
  const char* const end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.first);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return false;
  const auto minor = std::from_chars(major.ptr + 1, end, version.second);
  if (minor.ec != std::errc()) return false;
  return version < std::pair(6, 19) || version > std::pair(7, 0);
}

}  // namespace foliofs::fuse
