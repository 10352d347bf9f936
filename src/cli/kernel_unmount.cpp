#include "kernel_unmount.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <unistd.h>

#include <vector>

#include "child_process.h"
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

// The reason at the end of "fusermount3: failed to unmount /mnt: Device or resource busy\n"; we say
// the rest ourselves.
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

  auto pipe = make_pipe();
  if (!pipe) return failure(pipe.error());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe.value().writer.get(), STDERR_FILENO);
  pid_t pid = 0;
  const int error =
      ::posix_spawnp(&pid, "fusermount3", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {false, false, "cannot run fusermount3: " + errno_text(Errno(error))};
  pipe.value().writer.reset();
  const std::string said = read_to_end(pipe.value().reader.get());
  if (wait_for_exit(pid) == 0) return {true, false, ""};
  const std::string text = last_clause(said);
  return {false, said.find(errno_text(Errno(EBUSY))) != std::string::npos,
          text.empty() ? "fusermount3 failed" : text};
}

// Mounts the FUSE control filesystem without a place in the tree. Only root can.
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
