// The control socket over real sockets: the server runs on a loop in a thread, the blocking client
// in the test.
#include "foliofs/control/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "foliofs/base/wait_queue.h"
#include "foliofs/control/client.h"

namespace foliofs::control {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr auto kTimeout = 10s;

// "echo" answers with the request and the peer, "count" sends progress, "hold" waits for release().
class Handler final : public CommandHandler {
 public:
  Task<json> run(Peer peer, json request, Progress progress) override {
    const json command = request.value("command", json());
    if (command == "count") {
      for (int i = 0; i < 3; ++i) progress(i);
      co_return result_reply("counted");
    }
    if (command == "hold") {
      held_.set_value();
      while (!released_) co_await waiters_.wait();
      co_return result_reply("held");
    }
    if (command != "echo") co_return refusal_reply("unknown");
    json result = json::object();
    result["request"] = std::move(request);
    result["pid"] = peer.pid;
    result["uid"] = peer.uid;
    co_return result_reply(std::move(result));
  }

  void release() {
    released_ = true;
    waiters_.wake_all();
  }

  // Waits for the only "hold" request. Call it once, from any thread.
  void until_held() { held_.get_future().wait_for(kTimeout); }

 private:
  std::promise<void> held_;
  bool released_ = false;
  WaitQueue waiters_;
};

json request(const char* command) {
  json object = json::object();
  object["command"] = command;
  return object;
}

class ControlServerTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/foliofs-control.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    dir_ = pattern;
    path_ = dir_ + "/0:1.sock";
  }

  void TearDown() override {
    if (server_) stop().wait();
    work_.reset();
    if (loop_.joinable()) loop_.join();
    server_.reset();
    std::filesystem::remove_all(dir_);
  }

  void start(ControlLimits limits = {}) {
    server_ = std::make_unique<ControlServer>(io_.get_executor(), handler_, limits);
    ASSERT_TRUE(server_->listen(path_));
    loop_ = std::thread([this] { io_.run(); });
  }

  void on_loop(std::function<void()> action) {
    asio::post(io_, asio::use_future(std::move(action))).wait();
  }

  std::future<void> stop() {
    return asio::co_spawn(
        io_,
        [](ControlServer& server, Handler& handler) -> Task<void> {
          handler.release();
          co_await server.stop();
        }(*server_, handler_),
        asio::use_future);
  }

  ControlClient client() {
    auto attached = ControlClient::attach(path_, ::geteuid());
    EXPECT_TRUE(attached);
    return std::move(attached.value());
  }

  std::string dir_;
  std::string path_;
  Handler handler_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  std::unique_ptr<ControlServer> server_;
  std::thread loop_;
};

TEST_F(ControlServerTest, answers_and_knows_its_peer) {
  start();
  auto caller = client();
  json sent = request("echo");
  sent["text"] = "\xff no UTF-8";
  for (int i = 0; i < 2; ++i) {
    const auto answer = caller.call(sent, kTimeout);
    ASSERT_TRUE(answer) << answer.error().text;
    EXPECT_EQ(answer.value()["request"]["command"], "echo");
    EXPECT_EQ(answer.value()["pid"], ::getpid());
    EXPECT_EQ(answer.value()["uid"], ::getuid());
  }
  EXPECT_EQ(caller.daemon().pid(), ::getpid());
}

TEST_F(ControlServerTest, the_socket_is_the_users_own) {
  start();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(ControlServerTest, sends_progress_before_the_result) {
  start();
  std::vector<json> seen;
  auto caller = client();
  const auto answer = caller.call(request("count"), kTimeout,
                                  [&seen](const json& progress) { seen.push_back(progress); });
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_THAT(seen, testing::ElementsAre(0, 1, 2));
}

TEST_F(ControlServerTest, refuses_what_it_does_not_understand_and_goes_on) {
  start();
  auto caller = client();
  for (const json& wrong :
       {json("text"), json(nullptr), json::array({1, 2}), request("nonsense")}) {
    const auto answer = caller.call(wrong, kTimeout);
    EXPECT_FALSE(answer) << wrong.dump();
  }
  EXPECT_TRUE(caller.call(request("echo"), kTimeout));
}

TEST_F(ControlServerTest, a_line_that_is_too_long_ends_the_connection_alone) {
  start({.line_bytes = 1024});
  auto other = client();
  auto caller = client();
  json sent = request("echo");
  sent["text"] = std::string(100'000, 'x');
  EXPECT_FALSE(caller.call(sent, kTimeout));
  EXPECT_FALSE(caller.call(request("echo"), kTimeout));
  EXPECT_TRUE(other.call(request("echo"), kTimeout));
}

TEST_F(ControlServerTest, takes_in_only_so_many) {
  start({.connections = 2});
  auto first = client();
  auto second = client();
  ASSERT_TRUE(first.call(request("echo"), kTimeout));
  ASSERT_TRUE(second.call(request("echo"), kTimeout));
  auto third = client();
  const auto answer = third.call(request("echo"), kTimeout);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().text, HasSubstr("too many"));
  EXPECT_TRUE(first.call(request("echo"), kTimeout));
}

TEST_F(ControlServerTest, a_peer_that_says_nothing_is_let_go) {
  start({.peer_timeout_ms = 20ms});
  auto silent = client();
  const auto line = silent.next_line(kTimeout);
  ASSERT_FALSE(line);
  EXPECT_THAT(line.error().text, HasSubstr("gone"));
}

TEST_F(ControlServerTest, one_that_watches_may_be_silent_and_hears_what_is_announced) {
  start({.peer_timeout_ms = 20ms});
  auto watcher = client();
  ASSERT_TRUE(watcher.call(request("watch"), kTimeout));
  auto silent = client();
  EXPECT_FALSE(silent.next_line(kTimeout));  // cut off, because it has been silent for as long
  json message = json::object();
  message["end"] = 1;
  on_loop([&] { server_->announce(message); });
  const auto line = watcher.next_line(kTimeout);
  ASSERT_TRUE(line) << line.error().text;
  EXPECT_EQ(line.value(), message);
}

TEST_F(ControlServerTest, the_caller_waits_no_longer_than_it_wants) {
  start();
  auto caller = client();
  const auto answer = caller.call(request("hold"), 20ms);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().text, HasSubstr("does not answer"));
}

TEST_F(ControlServerTest, stop_answers_what_is_under_way_and_closes_what_is_idle) {
  start();
  auto idle = client();
  ASSERT_TRUE(idle.call(request("echo"), kTimeout));
  auto busy = client();
  std::thread release([this] {
    handler_.until_held();
    stop().wait();
  });
  const auto answer = busy.call(request("hold"), kTimeout);
  release.join();
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(answer.value(), "held");
  EXPECT_FALSE(idle.next_line(kTimeout));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ControlServerTest, takes_over_a_name_that_is_left_from_before) {
  std::ofstream(path_) << "stale";
  start();
  EXPECT_TRUE(client().call(request("echo"), kTimeout));
}

TEST_F(ControlServerTest, withdrawing_leaves_the_next_owner_of_the_name_alone) {
  start();
  auto caller = client();
  ASSERT_TRUE(caller.call(request("echo"), kTimeout));
  std::filesystem::rename(path_, path_ + ".old");  // keeps the old inode's number in use
  std::ofstream(path_) << "the next mount's";
  on_loop([&] { server_->withdraw(); });
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_TRUE(caller.call(request("echo"), kTimeout));
}

TEST(ControlServerListen, a_path_that_is_too_long_is_an_error) {
  asio::io_context io(1);
  Handler handler;
  ControlServer server(io.get_executor(), handler);
  const auto listening = server.listen("/tmp/" + std::string(200, 'x'));
  ASSERT_FALSE(listening);
  EXPECT_EQ(listening.error(), Errno(ENAMETOOLONG));
}

TEST(ControlClientAttach, tells_why_nobody_is_there) {
  const auto missing = ControlClient::attach("/tmp/foliofs-none/0:1.sock", ::geteuid());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(), Errno(ENOENT));
}

}  // namespace
}  // namespace foliofs::control
