#include "child_process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace foliofs::cli {

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return last_errno();
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string read_to_end(int fd) {
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

int wait_for_exit(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace foliofs::cli
