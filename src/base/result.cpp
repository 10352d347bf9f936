#include "foliofs/base/result.h"

#include <cstring>

namespace foliofs {

std::string errno_name(Errno error) {
  const char* name = strerrorname_np(error.value());
  return name != nullptr ? name : "E" + std::to_string(error.value());
}

std::string errno_text(Errno error) {
  const char* text = strerrordesc_np(error.value());
  return text != nullptr ? text : "unknown error " + std::to_string(error.value());
}

}  // namespace foliofs
