#include "foliofs/control/runtime_dir.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "foliofs/base/result.h"

namespace foliofs::control {
namespace {

constexpr const char* kRootDir = "/run/foliofs";

std::string system_dir(uid_t uid) {
  return "/run/user/" + std::to_string(uid);
}

std::string fallback_dir(uid_t uid) {
  return "/tmp/foliofs-" + std::to_string(uid);
}

std::string environment_dir() {
  const char* dir = std::getenv("XDG_RUNTIME_DIR");
  return dir != nullptr && dir[0] == '/' ? dir : "";
}

bool is_own_directory(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
         status.st_uid == ::geteuid();
}

std::string choose_dir() {
  const uid_t uid = ::geteuid();
  if (uid == 0) return kRootDir;
  for (const std::string& parent : {environment_dir(), system_dir(uid)}) {
    if (!parent.empty() && is_own_directory(parent)) return parent + "/foliofs";
  }
  return fallback_dir(uid);
}

}  // namespace

RefusalOr<std::string> make_runtime_dir() {
  const std::string dir = choose_dir();
  if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return Refusal{"cannot make the directory " + dir + ": " + errno_text(last_errno())};
  }
  struct stat status {};
  if (::lstat(dir.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
      status.st_uid != ::geteuid() || (status.st_mode & 077) != 0) {
    return Refusal{dir + " is not a directory of yours with mode 0700; remove it and try again"};
  }
  return dir;
}

std::vector<std::string> socket_candidates(uid_t owner, std::string_view device) {
  if (owner == 0) return {socket_path(kRootDir, device)};
  std::vector<std::string> candidates;
  if (owner == ::geteuid() && !environment_dir().empty()) {
    candidates.push_back(socket_path(environment_dir() + "/foliofs", device));
  }
  candidates.push_back(socket_path(system_dir(owner) + "/foliofs", device));
  candidates.push_back(socket_path(fallback_dir(owner), device));
  return candidates;
}

std::string socket_path(std::string_view runtime_dir, std::string_view device) {
  return std::string(runtime_dir) + '/' + std::string(device) + ".sock";
}

}  // namespace foliofs::control
