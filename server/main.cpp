// main of foliofsd: options, limits, the log, and the signals that end it. Server does the rest.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "foliofs/base/log.h"
#include "server/server.h"

namespace {

using namespace foliofs::server;

// The soft limit may be as low as 1024, and every open file of every client needs a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

int refuse(const foliofs::Refusal& refusal) {
  std::fprintf(stderr, "foliofsd: %s\n", refusal.text.c_str());
  return 1;
}

int run(int argc, char** argv) {
  auto invocation = parse_command_line(argc, argv);
  if (!invocation) return refuse(invocation.error());
  if (!invocation.value().text.empty()) {
    std::fputs(invocation.value().text.c_str(), stdout);
    return 0;
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("foliofsd"));
  spdlog::set_pattern("[%Y-%m-%d %H:%M:%S.%e] [%^%l%$] %n: %v");
  spdlog::set_level(spdlog::level::from_str(invocation.value().options.log_level));
  raise_descriptor_limit();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a write past the limit fails with EFBIG instead

  // Blocked before any thread starts, so that all threads leave these signals to sigwait.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGHUP);  // there is nothing to reload: the terminal has gone
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);

  Server server(std::move(invocation.value().options));
  auto started = server.start();
  if (!started) return refuse(started.error());
  foliofs::log_info("{}", server.describe());
  int signal = 0;
  sigwait(&ending, &signal);
  foliofs::log_info("ends, having received {}", signal == SIGTERM  ? "SIGTERM"
                                                : signal == SIGINT ? "SIGINT"
                                                                   : "SIGHUP");
  server.stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "foliofsd: %s\n", error.what());
    return 1;
  }
}
