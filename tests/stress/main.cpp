// foliofs-stress: makes random operations on files of a mount, and compares the files with what
// they must contain. See README.md.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>

#include "tester.h"

namespace foliofs::stress {
namespace {

struct Arguments {
  std::vector<std::string> directories;
  std::uint64_t seed = 1;
  std::size_t count = 20000;
  Bounds bounds;
  std::string foliofs;  // path of the command whose `invalidate` runs meanwhile; empty for none
};

constexpr const char* kUsage =
    "usage: foliofs-stress --dir DIR [--dir DIR_ON_A_SECOND_MOUNT] [--seed S] [--ops N]\n"
    "                      [--max-bytes B] [--foliofs COMMAND]\n";

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "foliofs-stress: %s\n%s", what.c_str(), kUsage);
  std::exit(2);
}

std::uint64_t number(const std::string& text) {
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value == 0) die("not a number above 0: '" + text + "'");
  return value;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 == argc) die(name + " wants a value");
    const std::string value = argv[i + 1];
    if (name == "--dir") {
      arguments.directories.push_back(value);
    } else if (name == "--seed") {
      arguments.seed = number(value);
    } else if (name == "--ops") {
      arguments.count = number(value);
    } else if (name == "--max-bytes") {
      arguments.bounds.file_bytes = number(value);
    } else if (name == "--foliofs") {
      arguments.foliofs = value;
    } else {
      die("unknown argument " + name);
    }
  }
  if (arguments.directories.empty() || arguments.directories.size() > 2) die("one or two --dir");
  arguments.bounds.two_mounts = arguments.directories.size() == 2;
  return arguments;
}

// Runs `foliofs invalidate` on the files, over and over, until its destructor stops it.
class Invalidations {
 public:
  Invalidations(std::string command, std::vector<std::string> paths)
      : command_(std::move(command)), paths_(std::move(paths)) {
    if (!command_.empty()) thread_ = std::thread([this] { run(); });
  }
  ~Invalidations() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  Invalidations(const Invalidations&) = delete;
  Invalidations& operator=(const Invalidations&) = delete;

 private:
  void run() {
    for (std::size_t i = 0; !stop_; ++i) {
      invalidate(paths_[i % paths_.size()], i % 3 == 2);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  // Ignores failures: the file may be busy, or gone between two runs.
  void invalidate(std::string path, bool keep_dirty) {
    char word[] = "invalidate";
    char no_flush[] = "--no-flush";
    char* arguments[] = {command_.data(), word, path.data(), keep_dirty ? no_flush : nullptr,
                         nullptr};
    posix_spawn_file_actions_t quiet;
    ::posix_spawn_file_actions_init(&quiet);
    ::posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    if (::posix_spawn(&pid, command_.c_str(), &quiet, nullptr, arguments, environ) == 0) {
      ::waitpid(pid, nullptr, 0);
    }
    ::posix_spawn_file_actions_destroy(&quiet);
  }

  std::string command_;
  const std::vector<std::string> paths_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class Stress {
 public:
  explicit Stress(Arguments arguments) : arguments_(std::move(arguments)) {}

  int run() {
    const auto operations = generate(arguments_.seed, arguments_.count, arguments_.bounds);
    auto failure = attempt(operations);
    if (!failure) {
      std::printf("seed %llu: %zu operations, %llu of them refused, nothing wrong\n",
                  static_cast<unsigned long long>(arguments_.seed), arguments_.count,
                  static_cast<unsigned long long>(refused_));
      return 0;
    }
    std::printf("seed %llu, operation %zu: %s: %s\n",
                static_cast<unsigned long long>(arguments_.seed), failure->at,
                describe(operations[failure->at]).c_str(), failure->what.c_str());
    std::fflush(stdout);
    report(operations, failure->at);
    return 1;
  }

 private:
  std::optional<Failure> attempt(std::span<const Operation> operations) {
    Tester tester(arguments_.directories,
                  "stress." + std::to_string(::getpid()) + "." + std::to_string(++attempts_));
    std::vector<std::string> paths{tester.path(0), tester.path(1)};
    const Invalidations invalidations(arguments_.foliofs, paths);
    auto failure = tester.run(operations, arguments_.bounds.file_bytes);
    refused_ = tester.refused();
    return failure;
  }

  // Looks for few operations that fail again. The last few before the failure usually suffice.
  void report(const std::vector<Operation>& operations, std::size_t at) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    auto in_time = [&] {
      return std::chrono::steady_clock::now() < until;
    };
    const std::vector<Operation> before(operations.begin(),
                                        operations.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    std::vector<Operation> left;
    for (std::size_t last = 16; left.empty() && in_time(); last *= 4) {
      const std::size_t from = last >= before.size() ? 0 : before.size() - last;
      const std::vector<Operation> tail(before.begin() + static_cast<std::ptrdiff_t>(from),
                                        before.end());
      if (attempt(tail)) left = tail;
      if (from == 0) break;
    }
    if (left.empty()) {
      std::printf("it does not happen again; the last operations were\n");
      const std::size_t from = before.size() > 40 ? before.size() - 40 : 0;
      left.assign(before.begin() + static_cast<std::ptrdiff_t>(from), before.end());
    } else {
      for (std::size_t piece = left.size() / 2; piece > 0 && in_time(); piece /= 2) {
        for (std::size_t begin = 0; begin < left.size() && in_time();) {
          std::vector<Operation> fewer = left;
          const auto first = fewer.begin() + static_cast<std::ptrdiff_t>(begin);
          fewer.erase(first,
                      first + static_cast<std::ptrdiff_t>(std::min(piece, fewer.size() - begin)));
          auto failure = fewer.empty() ? std::nullopt : attempt(fewer);
          if (failure) {
            fewer.resize(failure->at + 1);
            left = std::move(fewer);
          } else {
            begin += piece;
          }
        }
      }
      auto failure = attempt(left);
      std::printf("%zu operations are enough%s%s\n", left.size(), failure ? ": " : "",
                  failure ? failure->what.c_str() : "");
    }
    for (const Operation& operation : left) std::printf("  %s\n", describe(operation).c_str());
  }

  const Arguments arguments_;
  int attempts_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace
}  // namespace foliofs::stress

int main(int argc, char** argv) {
  return foliofs::stress::Stress(foliofs::stress::parse(argc, argv)).run();
}
