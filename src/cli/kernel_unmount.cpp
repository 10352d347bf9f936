#include "kernel_unmount.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include "foliofs/base/result.h"
#include "foliofs/base/unique_fd.h"

namespace foliofs::cli {
namespace {

UnmountResult failure(Errno error) {
  return {false, error == Errno(EBUSY), errno_text(error)};
}

UnmountResult unmount_as_root(const std::string& mount_point, Unmount how) {
  int flags = UMOUNT_NOFOLLOW;
  if (how != Unmount::kIfIdle) flags |= MNT_DETACH;
  if (how == Unmount::kForce) flags |= MNT_FORCE;
  if (::umount2(mount_point.c_str(), flags) != 0) return failure(last_errno());
  return {true, false, ""};
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 1024> bytes;
  for (;;) {
    const ssize_t length = ::read(fd, bytes.data(), bytes.size());
    if (length > 0) {
      text.append(bytes.data(), static_cast<std::size_t>(length));
    } else if (length == 0 || errno != EINTR) {
      return text;
    }
  }
}

int wait_for_exit(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// "fusermount3: failed to unmount /mnt: Device or resource busy\n" without what we say ourselves.
std::string last_clause(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  const std::size_t colon = text.rfind(": ");
  return colon == std::string::npos ? text : text.substr(colon + 2);
}

UnmountResult unmount_as_user(const std::string& mount_point, Unmount how) {
  std::vector<std::string> words{"fusermount3", "-u"};
  if (how != Unmount::kIfIdle) words.emplace_back("-z");
  words.insert(words.end(), {"--", mount_point});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return failure(last_errno());
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), STDERR_FILENO);
  pid_t pid = 0;
  const int error =
      ::posix_spawnp(&pid, "fusermount3", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {false, false, std::string("cannot run fusermount3: ") + strerror(error)};
  writer.reset();
  const std::string said = read_all(reader.get());
  if (wait_for_exit(pid) == 0) return {true, false, ""};
  const std::string text = last_clause(said);
  return {false, said.find(strerror(EBUSY)) != std::string::npos,
          text.empty() ? "fusermount3 failed" : text};
}

// The FUSE control filesystem, without a place in the tree; takes root.
UniqueFd mount_control_filesystem() {
  const UniqueFd made(::fsopen("fusectl", FSOPEN_CLOEXEC));
  if (!made) return {};
  if (::fsconfig(made.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return {};
  return UniqueFd(::fsmount(made.get(), FSMOUNT_CLOEXEC, 0));
}

}  // namespace

UnmountResult unmount(const std::string& mount_point, Unmount how) {
  if (::geteuid() != 0) return unmount_as_user(mount_point, how);
  return unmount_as_root(mount_point, how);
}

bool abort_connection(unsigned minor) {
  const std::string name = std::to_string(minor) + "/abort";
  const std::string path = "/sys/fs/fuse/connections/" + name;
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) {
    const UniqueFd connections = mount_control_filesystem();
    if (!connections) return false;
    file = UniqueFd(::openat(connections.get(), name.c_str(), O_WRONLY | O_CLOEXEC));
  }
  return file && ::write(file.get(), "1", 1) == 1;
}

}  // namespace foliofs::cli
