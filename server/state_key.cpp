#include "server/state_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "foliofs/base/result.h"
#include "foliofs/base/unique_fd.h"
#include "server/random.h"

namespace foliofs::server {

namespace {

using KeyBytes = std::array<std::uint8_t, kKeyBytes>;

// EUCLEAN when the file is not a key, EACCES when other users may read it.
Result<KeyBytes> read_key(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return last_errno();
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return last_errno();
  if ((info.st_mode & 077) != 0) return Errno(EACCES);
  KeyBytes key;
  if (!S_ISREG(info.st_mode) || info.st_size != static_cast<off_t>(key.size())) {
    return Errno(EUCLEAN);
  }
  if (::read(fd.get(), key.data(), key.size()) != static_cast<ssize_t>(key.size())) {
    return Errno(EIO);
  }
  return key;
}

// Writes a draft and links it into place, so that the key file is either complete or absent, and
// two servers that start at once use the same key.
Status write_key(const std::string& path, const KeyBytes& key) {
  const std::string draft = fmt::format("{}.{}", path, ::getpid());
  ::unlink(draft.c_str());
  UniqueFd fd(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return last_errno();
  const bool written =
      ::write(fd.get(), key.data(), key.size()) == static_cast<ssize_t>(key.size()) &&
      ::fsync(fd.get()) == 0 && ::link(draft.c_str(), path.c_str()) == 0;
  const int failure = errno;
  ::unlink(draft.c_str());
  if (!written) return Errno(failure);
  return success();
}

StateKey ephemeral(std::string why) {
  StateKey key;
  fill_random(key.bytes);
  key.why_ephemeral = std::move(why);
  return key;
}

std::string explain(const std::string& path, Errno error) {
  if (error == Errno(EUCLEAN)) return path + " is not a key; remove it";
  if (error == Errno(EACCES)) return path + " must be readable by its owner only; chmod 600 it";
  return fmt::format("{}: {}", path, errno_text(error));
}

}  // namespace

std::string default_state_dir() {
  if (::geteuid() == 0) return "/var/lib/foliofs";
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return std::string(state) + "/foliofs";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    return std::string(home) + "/.local/state/foliofs";
  }
  return {};
}

StateKey load_state_key(const std::string& state_dir) {
  if (state_dir.empty()) return ephemeral("there is no state directory");
  std::error_code made;
  std::filesystem::create_directories(std::filesystem::path(state_dir).parent_path(), made);
  if (::mkdir(state_dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return ephemeral(fmt::format("{}: {}", state_dir, errno_text(last_errno())));
  }

  const std::string path = state_dir + "/handle.key";
  Result<KeyBytes> key = read_key(path);
  if (!key && key.error() == Errno(ENOENT)) {
    KeyBytes fresh;
    fill_random(fresh);
    Status written = write_key(path, fresh);
    if (!written && written.error() != Errno(EEXIST)) {
      return ephemeral(explain(path, written.error()));
    }
    key = read_key(path);
  }
  if (!key) return ephemeral(explain(path, key.error()));
  return StateKey{key.value(), {}};
}

}  // namespace foliofs::server
