#include "foliofs/proto/messages.h"

#include "foliofs/base/limits.h"

namespace foliofs::proto {

Status check_name(std::string_view name) {
  if (name.size() > kMaxNameBytes) return Errno(ENAMETOOLONG);
  const bool has_separator = name.find_first_of(std::string_view("/\0", 2)) != name.npos;
  if (name.empty() || name == "." || name == ".." || has_separator) return Errno(EINVAL);
  return success();
}

}  // namespace foliofs::proto
