#include "mount_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "child_process.h"
#include "mount_daemon.h"
#include "text.h"

namespace foliofs::cli {
namespace {

class ForegroundObserver final : public StartupObserver {
 public:
  bool ready() override { return true; }
  void failed(const std::string& why) override { fail("mount", why); }
};

// In the child: reports to the command, which waits in the parent, with one line that is empty if
// all is well. Until then the child shares the parent's terminal, so that a Ctrl-C ends both.
class BackgroundObserver final : public StartupObserver {
 public:
  explicit BackgroundObserver(UniqueFd pipe) : pipe_(std::move(pipe)) {}

  bool ready() override {
    if (!tell("\n")) return false;
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (null) {
      for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), fd);
    }
    ::setsid();
    return true;
  }

  void failed(const std::string& why) override { tell(why + '\n'); }

 private:
  bool tell(std::string_view line) {
    const bool told =
        ::write(pipe_.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size());
    pipe_.reset();
    return told;
  }

  UniqueFd pipe_;
};

int wait_until_ready(UniqueFd pipe, pid_t child) {
  std::string line = read_to_end(pipe.get());
  if (line == "\n") return 0;
  wait_for_exit(child);
  if (!line.ends_with('\n')) {
    return fail("mount",
                "the daemon ended before the mount was ready; -f -o log_level=debug "
                "shows what it does");
  }
  line.pop_back();
  return fail("mount", line);
}

// Closes every inherited descriptor except `fd` and the standard streams. One of them may be the
// write end of a pipe, whose reader waits until all processes have closed it.
void keep_only(int fd) {
  const auto kept = static_cast<unsigned>(fd);
  if (kept > STDERR_FILENO + 1) ::close_range(STDERR_FILENO + 1, kept - 1, 0);
  ::close_range(kept + 1, ~0U, 0);
}

// REQUIRES: no thread has been started.
int run_in_background(const MountRequest& request) {
  auto pipe = make_pipe();
  if (!pipe) return fail("mount", errno_text(pipe.error()));
  auto& [reader, writer] = pipe.value();
  const pid_t child = ::fork();
  if (child < 0) return fail("mount", "cannot fork: " + errno_text(last_errno()));
  if (child > 0) {
    writer.reset();
    return wait_until_ready(std::move(reader), child);
  }
  reader.reset();
  keep_only(writer.get());
  BackgroundObserver observer(std::move(writer));
  if (::chdir("/") != 0) {
    observer.failed("cannot leave this directory: " + errno_text(last_errno()));
    return 1;
  }
  return run_mount_daemon(request, observer);
}

}  // namespace

int run_mount(const MountWords& words) {
  const auto request = make_mount_request(words);
  if (!request) return fail("mount", request.error().text);
  if (words.fake) return 0;
  if (words.foreground) {
    ForegroundObserver observer;
    return run_mount_daemon(request.value(), observer);
  }
  const int status = run_in_background(request.value());
  if (status == 0 && words.verbose) {
    std::printf("%s mounted on %s\n", request.value().source.c_str(),
                request.value().mount_point.c_str());
  }
  return status;
}

}  // namespace foliofs::cli
