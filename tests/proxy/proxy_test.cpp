// The proxy between real sockets, on its own thread, as it runs beside a real client.
#include "tests/proxy/proxy.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio.hpp>
#include <future>
#include <thread>

namespace foliofs::test {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Long enough for any machine; a test that waits this long fails.
constexpr timeval kPatience{10, 0};
// If no byte comes for this long, the test takes the line for silent.
constexpr timeval kQuiet{0, 200'000};

class ProxyTest : public testing::Test {
 protected:
  ProxyTest()
      : acceptor_(own_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
        proxy_(std::make_unique<Proxy>(context_, 0, acceptor_.local_endpoint())),
        thread_([this] { context_.run(); }) {}

  ~ProxyTest() override {
    context_.stop();
    thread_.join();
  }

  template <class Call>
  auto on_loop(Call call) {
    std::packaged_task<decltype(call())()> task(std::move(call));
    auto result = task.get_future();
    asio::post(context_, [&task] { task(); });
    return result.get();
  }

  std::string command(const std::string& words) {
    return on_loop([&] { return proxy_->run_command(words); });
  }

  // Connects both ends of one connection through the proxy.
  void connect() {
    client_.connect(tcp::endpoint(asio::ip::address_v4::loopback(), proxy_->port()));
    server_ = acceptor_.accept();
    wait_for(client_, kPatience);
    wait_for(server_, kPatience);
  }

  static void wait_for(tcp::socket& socket, timeval patience) {
    ASSERT_EQ(
        ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience),
        0);
  }

  // Receives up to `bytes`, less at the end of the stream or after an error.
  static std::string receive(tcp::socket& socket, std::size_t bytes) {
    std::string text(bytes, '\0');
    std::size_t have = 0;
    while (have < bytes) {
      const ssize_t got = ::recv(socket.native_handle(), text.data() + have, bytes - have, 0);
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    text.resize(have);
    return text;
  }

  asio::io_context own_;
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  tcp::acceptor acceptor_;
  std::unique_ptr<Proxy> proxy_;
  std::thread thread_;
  tcp::socket client_{own_};
  tcp::socket server_{own_};
};

TEST_F(ProxyTest, ForwardsBothWaysAndTheEnd) {
  connect();
  const std::string much(3 << 20, 'm');
  std::thread writer([&] {
    asio::write(client_, asio::buffer(much));
    client_.shutdown(tcp::socket::shutdown_send);
  });
  EXPECT_EQ(receive(server_, much.size() + 1), much) << "and then the end";
  writer.join();
  asio::write(server_, asio::buffer("down", 4));
  EXPECT_EQ(receive(client_, 4), "down");
}

TEST_F(ProxyTest, DelaysAndNarrowsWithoutLosingOrder) {
  EXPECT_EQ(command("delay_us 2000"), "ok");
  EXPECT_EQ(command("bandwidth 20000000"), "ok");
  connect();
  std::string text;
  for (int i = 0; i < 40000; ++i) text += std::to_string(i) + ' ';
  std::thread writer([&] { asio::write(client_, asio::buffer(text)); });
  EXPECT_EQ(receive(server_, text.size()), text);
  writer.join();
}

TEST_F(ProxyTest, CutsAfterTheByte) {
  connect();
  EXPECT_EQ(command("cut_after 10 up"), "ok");
  asio::write(client_, asio::buffer("0123456789abcdef", 16));
  EXPECT_EQ(receive(server_, 16), "0123456789");
  EXPECT_EQ(receive(client_, 1), "");
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(ProxyTest, HoldsOneDirection) {
  connect();
  EXPECT_EQ(command("hold down"), "ok");
  asio::write(client_, asio::buffer("up", 2));
  EXPECT_EQ(receive(server_, 2), "up");
  asio::write(server_, asio::buffer("down", 4));
  wait_for(client_, kQuiet);
  EXPECT_EQ(receive(client_, 4), "");
  EXPECT_EQ(command("release"), "ok");
  wait_for(client_, kPatience);
  EXPECT_EQ(receive(client_, 4), "down");
}

TEST_F(ProxyTest, AHalfOpenConnectionHidesTheEndOfItsPeer) {
  connect();
  EXPECT_EQ(command("hold both"), "ok");
  server_.close();
  wait_for(client_, kQuiet);
  EXPECT_EQ(receive(client_, 1), "");
  EXPECT_EQ(errno, EAGAIN) << "neither data nor an end";
}

TEST_F(ProxyTest, CutsAndRefusesOnDemand) {
  connect();
  EXPECT_EQ(command("cut"), "ok");
  EXPECT_EQ(receive(client_, 1), "");
  EXPECT_EQ(command("refuse"), "ok");
  tcp::socket late(own_);
  late.connect(tcp::endpoint(asio::ip::address_v4::loopback(), proxy_->port()));
  wait_for(late, kPatience);
  EXPECT_EQ(receive(late, 1), "");
  EXPECT_EQ(command("accept"), "ok");
  client_ = tcp::socket(own_);
  connect();
  asio::write(client_, asio::buffer("again", 5));
  EXPECT_EQ(receive(server_, 5), "again");
}

TEST_F(ProxyTest, SaysWhatIsWrongWithACommand) {
  EXPECT_EQ(command("delay_us soon"), "error: delay_us needs a number");
  EXPECT_EQ(command("hold sideways"), "error: hold what: up, down or both");
  EXPECT_EQ(command("dance"), "error: no command \"dance\"");
  EXPECT_TRUE(command("stats").starts_with("ok connections 0 "));
}

}  // namespace
}  // namespace foliofs::test
