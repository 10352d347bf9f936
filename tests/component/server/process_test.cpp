// foliofsd as a process: its command line, its log, and how it ends.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/component/server/fixture.h"

namespace foliofs::server {
namespace {

// A foliofsd process; the destructor kills it if it still runs.
class Daemon {
 public:
  // `launcher`: a command that runs the command after it.
  explicit Daemon(std::vector<std::string> arguments, std::vector<std::string> launcher = {},
                  const std::string& binary = FOLIOFSD) {
    arguments.insert(arguments.begin(), binary);
    arguments.insert(arguments.begin(), launcher.begin(), launcher.end());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    log_ = UniqueFd(ends[0]);
    UniqueFd write_end(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
    if (::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ) != 0) std::abort();
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Daemon() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // All that it has logged up to `text`, or, if `text` is empty, up to its end.
  const std::string& read_until(const std::string& text) {
    while (text.empty() || said_.find(text) == said_.npos) {
      pollfd waiting{log_.get(), POLLIN, 0};
      char buffer[4096];
      if (::poll(&waiting, 1, kReceiveTimeoutMs) <= 0) break;
      const ssize_t got = ::read(log_.get(), buffer, sizeof buffer);
      if (got <= 0) break;
      said_.append(buffer, static_cast<std::size_t>(got));
    }
    return said_;
  }
  // The port on which it listens; 0 if it does not.
  std::uint16_t port() {
    const std::string line = "foliofsd: listening on 127.0.0.1:";
    read_until("exports:");
    const std::size_t at = said_.find(line);
    return at == said_.npos
               ? 0
               : static_cast<std::uint16_t>(std::stoul(said_.substr(at + line.size())));
  }
  void signal(int number) { ::kill(pid_, number); }
  // Its exit status; -1 if a signal has killed it.
  int wait() {
    read_until("");
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  const std::string& said() const { return said_; }

 private:
  pid_t pid_ = -1;
  UniqueFd log_;
  std::string said_;
};

class Process : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directory(tree()); }
  fs::path tree() const { return scratch_.path() / "tree"; }
  std::vector<std::string> arguments(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--state-dir", scratch_.path() / "state"});
    return more;
  }
  std::string share() const { return "data=" + tree().string(); }

  // Expects that it ends at once with status 1, after one line that contains `text`.
  void expect_refusal(std::vector<std::string> given, const std::string& text) {
    Daemon daemon(arguments(std::move(given)));
    EXPECT_EQ(daemon.wait(), 1);
    EXPECT_NE(daemon.said().find(text), std::string::npos) << daemon.said();
    EXPECT_TRUE(daemon.said().starts_with("foliofsd: ")) << daemon.said();
    EXPECT_EQ(std::count(daemon.said().begin(), daemon.said().end(), '\n'), 1) << daemon.said();
  }

  ScratchDir scratch_;
};

TEST_F(Process, ServesAndEndsCleanlyOnSignals) {
  for (int number : {SIGTERM, SIGINT, SIGHUP}) {
    Daemon daemon(arguments({"--listen", "127.0.0.1:0", "--export", share()}));
    const auto port = daemon.port();
    ASSERT_NE(port, 0) << daemon.said();
    EXPECT_NE(daemon.said().find("exports: data"), std::string::npos);
    RawClient client(port);
    ASSERT_TRUE(client.hello("data"));
    ASSERT_TRUE(client.call(wire::PingRequestT()));
    daemon.signal(number);
    EXPECT_EQ(daemon.wait(), 0) << daemon.said();
    EXPECT_TRUE(client.has_ended());
  }
}

TEST_F(Process, SigtermLosesNoWriteThatWasBegun) {
  Daemon daemon(arguments({"--listen", "127.0.0.1:0", "--export", share() + ",squash=none"}));
  const auto port = daemon.port();
  ASSERT_NE(port, 0) << daemon.said();
  RawClient client(port);
  ASSERT_TRUE(client.hello("data"));
  const auto id = client.create(client.root(), "file").value().reply.open_id;
  ASSERT_TRUE(client.write(id, 0, std::string(kMaxPayloadBytes, 'x')));
  daemon.signal(SIGTERM);
  EXPECT_EQ(daemon.wait(), 0);
  EXPECT_EQ(fs::file_size(tree() / "file"), kMaxPayloadBytes);
}

TEST_F(Process, ConfigFileHasTheSameWords) {
  std::ofstream(scratch_.path() / "config.toml")
      << "listen = \"127.0.0.1:0\"\nlog-level = \"info\"\n[[export]]\nname = \"one\"\npath = \""
      << tree().string() << "\"\nro = true\n";
  Daemon daemon(arguments(
      {"--config", scratch_.path() / "config.toml", "--export", "two=" + tree().string()}));
  const auto port = daemon.port();
  ASSERT_NE(port, 0) << daemon.said();
  RawClient one(port);
  EXPECT_TRUE(one.hello("one").value().read_only);
  RawClient two(port);
  EXPECT_FALSE(two.hello("two").value().read_only);
}

TEST_F(Process, KeyIsPrivate) {
  Daemon daemon(arguments({"--listen", "127.0.0.1:0", "--export", share()}));
  ASSERT_NE(daemon.port(), 0);
  struct stat info {};
  ASSERT_EQ(::stat((scratch_.path() / "state/handle.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat((scratch_.path() / "state").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(Process, WithoutAStateDirectoryItServesAndSaysSo) {
  Daemon daemon({"--listen", "127.0.0.1:0", "--export", share(), "--state-dir", "/proc/nowhere"});
  const auto port = daemon.port();
  ASSERT_NE(port, 0);
  EXPECT_NE(daemon.said().find("handles will not outlive this run"), std::string::npos);
  RawClient client(port);
  EXPECT_TRUE(client.hello("data"));
}

TEST_F(Process, BrokenFramesAreOneLineInTheLog) {
  Daemon daemon(arguments({"--listen", "127.0.0.1:0", "--export", share()}));
  const auto port = daemon.port();
  ASSERT_NE(port, 0);
  const std::size_t before = daemon.said().size();
  RawClient client(port);
  client.send_bytes(std::string(64, 'G'));
  ASSERT_TRUE(client.has_ended());
  daemon.signal(SIGTERM);
  EXPECT_EQ(daemon.wait(), 0);
  const std::string log = daemon.said().substr(before);
  EXPECT_NE(log.find("garbage"), std::string::npos) << log;
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2) << log;  // the other: it ends
}

TEST_F(Process, BadInputIsOneLineThatSaysWhatToDo) {
  expect_refusal({}, "--export");
  expect_refusal({"--export", "data=/does/not/exist"}, "/does/not/exist");
  expect_refusal({"--export", "data=/etc/passwd"}, "Not a directory");
  expect_refusal({"--export", share(), "--export", share()}, "two exports");
  expect_refusal({"--export", share() + ",rw"}, "\"rw\"");
  expect_refusal({"--export", "a/b=/tmp"}, "no name");
  expect_refusal({"--export", share(), "--bogus"}, "--bogus");
  expect_refusal({"--export", share(), "--poll", "soon"}, "--poll");
  expect_refusal({"--export", share(), "--listen", "nowhere"}, "nowhere");
  expect_refusal({"--export", share(), "--listen", "0.0.0.0:0"}, "--allow-plaintext");
  expect_refusal({"--export", share(), "--config", "/does/not/exist"}, "/does/not/exist");
  std::ofstream(scratch_.path() / "bad.toml") << "lisen = \"127.0.0.1:0\"\n";
  expect_refusal({"--config", scratch_.path() / "bad.toml"}, "lisen");
}

TEST_F(Process, PortInUse) {
  Daemon first(arguments({"--listen", "127.0.0.1:0", "--export", share()}));
  const auto port = first.port();
  ASSERT_NE(port, 0);
  expect_refusal({"--listen", "127.0.0.1:" + std::to_string(port), "--export", share()}, "in use");
  expect_refusal({"--listen", "[2001:db8::1]:1", "--allow-plaintext", "--export", share()},
                 "cannot listen on [2001:db8::1]:1: ");
}

// --- Without being root -------------------------------------------------------------------------

// Daemons of another user, with the capabilities that a test gives them.
class OtherUser : public Process {
 protected:
  static constexpr std::uint32_t kUser = 4711;

  void SetUp() override {
    if (::geteuid() != 0 || ::access("/usr/bin/setpriv", X_OK) != 0) {
      GTEST_SKIP() << "needs root and setpriv(1)";
    }
    Process::SetUp();
    // That user may have no access to the build directory.
    fs::copy_file(FOLIOFSD, binary());
    fs::create_directory(scratch_.path() / "state");
    ASSERT_EQ(::chown((scratch_.path() / "state").c_str(), kUser, kUser), 0);
    ::chmod((scratch_.path() / "state").c_str(), 0700);
    ::chmod(tree().c_str(), 0755);
  }
  fs::path binary() const { return scratch_.path() / "foliofsd"; }

  std::unique_ptr<Daemon> start(const std::string& capabilities) {
    const std::string user = std::to_string(kUser);
    std::vector<std::string> launcher{"/usr/bin/setpriv", "--reuid=" + user, "--regid=" + user,
                                      "--clear-groups"};
    if (!capabilities.empty()) {
      launcher.push_back("--inh-caps=" + capabilities);
      launcher.push_back("--ambient-caps=" + capabilities);
    }
    return std::make_unique<Daemon>(
        arguments({"--listen", "127.0.0.1:0", "--export", share() + ",squash=none"}), launcher,
        binary());
  }
  void put_file(const std::string& name, const std::string& content, mode_t mode) {
    std::ofstream(tree() / name) << content;
    ::chmod((tree() / name).c_str(), mode);
  }
};

TEST_F(OtherUser, ATimeThatCannotBeSetCostsNoBytes) {
  put_file("file", "before", 0666);
  auto daemon = start("");
  const auto port = daemon->port();
  ASSERT_NE(port, 0) << daemon->said();
  RawClient client(port);
  ASSERT_TRUE(client.hello("data"));
  const auto handle = client.lookup(client.root(), "file").value().reply.handle;
  auto opened = client.open(handle, O_RDWR);
  ASSERT_TRUE(opened) << errno_name(opened.error());
  wire::WriteRequestT write;
  write.open_id = opened.value().reply.open_id;
  write.flags = proto::kWriteSetMtime;
  write.mtime_ns = 5'000'000'000;
  auto wrote = client.call(write, "after");
  ASSERT_TRUE(wrote) << errno_name(wrote.error());
  EXPECT_NE(wrote.value().reply.attributes->mtime_ns(), 5'000'000'000);
  std::ifstream file(tree() / "file");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "aftere");
}

TEST_F(OtherUser, AmbientCapabilitiesAreNotForCallers) {
  put_file("secret", "secret", 0600);
  auto daemon = start("+setuid,+setgid,+dac_override,+dac_read_search");
  const auto port = daemon->port();
  ASSERT_NE(port, 0) << daemon->said();
  RawClient client(port);
  ASSERT_TRUE(client.hello("data"));
  client.uid = client.gid = 4712;
  const auto handle = client.lookup(client.root(), "secret").value().reply.handle;
  // Twice, because a call as root must not leave its privileges behind, and a call as another user
  // must not take them from the server for good.
  for (int i = 0; i < 2; ++i) {
    for (const std::uint32_t uid : {4712u, kUser}) {
      client.uid = uid;
      EXPECT_EQ(errno_of(client.open(handle, O_RDONLY)), EACCES) << uid;
    }
    client.uid = 0;
    EXPECT_EQ(client.open(handle, O_RDONLY, 10).value().payload, "secret");
  }
}

}  // namespace
}  // namespace foliofs::server
