// How sessions fail to begin, and how they end.
#include "src/rpc/alarm.h"
#include "tests/component/rpc/fixture.h"

namespace foliofs::rpc {
namespace {

class RpcEnd : public RpcTest {
 protected:
  Task<void> nothing() { co_return; }
  Task<void> expect_start_fails(Errno expected) {
    auto started = co_await session().start();
    EXPECT_FALSE(started);
    if (!started) {
      EXPECT_EQ(started.error(), expected);
    }
    const int refused = co_await echo("x");
    EXPECT_EQ(refused, ENOTCONN);
    co_await session().close();
  }
};

// A connection attempt that never ends, as with a host behind a firewall that drops packets.
class EndlessConnector final : public Connector {
 public:
  Task<Result<std::unique_ptr<Transport>>> connect(std::chrono::microseconds) override {
    ++attempts;
    co_await never.wait();
    co_return Errno(EHOSTUNREACH);
  }
  int attempts = 0;
  WaitQueue never;
};

TEST_F(RpcEnd, StartSaysWhatTheServerSays) {
  auto client = [&]() -> Task<void> {
    co_await expect_start_fails(Errno(ENOENT));
    EXPECT_EQ(session().start_error_text(), "no export of that name");
    EXPECT_EQ(session().incarnation(), 0u);
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept_hello();
    co_await peer->send(error_bytes(hello_frame_, ENOENT, "no export of that name"));
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcEnd, StartRefusesAnotherVersion) {
  auto server = [&]() -> Task<void> {
    auto reply = hello_reply();
    reply.version = proto::kVersion + 1;
    auto peer = co_await accept(std::move(reply));
    co_await peer->expect_end();
  };
  run(expect_start_fails(Errno(EPROTONOSUPPORT)), server());
}

TEST_F(RpcEnd, StartRefusesHellosThatCannotBe) {
  const std::vector<void (*)(wire::HelloReplyT&)> faults{
      [](wire::HelloReplyT& hello) { hello.slots = 0; },
      [](wire::HelloReplyT& hello) { hello.session.resize(15); },
      [](wire::HelloReplyT& hello) { hello.root.clear(); },
      [](wire::HelloReplyT& hello) { hello.root.resize(kMaxHandleBytes + 1); },
      [](wire::HelloReplyT& hello) { hello.root_attributes.reset(); },
      [](wire::HelloReplyT& hello) { hello.max_payload = 0; },
      [](wire::HelloReplyT& hello) {
        hello.resumed = true;
      }};
  for (auto spoil : faults) {
    session_.reset();
    io_.restart();
    auto server = [&]() -> Task<void> {
      auto reply = hello_reply();
      spoil(reply);
      auto peer = co_await accept(std::move(reply));
      co_await peer->expect_end();
    };
    run(expect_start_fails(Errno(EPROTO)), server());
  }
}

TEST_F(RpcEnd, StartRefusesSomethingThatIsNoServer) {
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept_hello();
    const std::string banner = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3 and more\r\n";
    const auto bytes = std::as_bytes(std::span(banner));
    co_await peer->send(Bytes(bytes.begin(), bytes.end()));
    co_await peer->expect_end();
  };
  run(expect_start_fails(Errno(EPROTO)), server());
}

TEST_F(RpcEnd, StartFailsAtOnceWhenNobodyListens) {
  acceptor_.close();
  run(expect_start_fails(Errno(ECONNREFUSED)), nothing());
}

TEST_F(RpcEnd, AServerThatSaysNothingToHelloTimesOut) {
  pace_ = milliseconds(100);
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept_hello();
    co_await peer->expect_end();
  };
  run(expect_start_fails(Errno(ETIMEDOUT)), server());
}

TEST_F(RpcEnd, CloseFailsWhatIsPending) {
  options_.slots = 3;
  int results[4];
  auto client = [&]() -> Task<void> {
    co_await start();
    for (int i = 0; i < 4; ++i) start_echo(std::to_string(i), results[i]);
    co_await pause(milliseconds(20));
    co_await session().close();
    session_.reset();  // nothing refers to the session, although its callers have yet to run
    for (int& result : results) co_await until_done(result);
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    for (int i = 0; i < 2; ++i) co_await peer->receive();
    Frame bye = co_await peer->receive();
    EXPECT_EQ(bye.header.type, proto::MessageType::kBye);
    co_await peer->send(reply_bytes(bye, wire::EmptyT()));
    co_await peer->expect_end();
  };
  run(client(), server());
  for (int result : results) EXPECT_EQ(result, ENOTCONN);
}

TEST_F(RpcEnd, CloseDoesNotWaitForASilentServer) {
  int pending = -1;
  pace_ = milliseconds(50);
  auto client = [&]() -> Task<void> {
    co_await start();
    start_echo("x", pending);
    co_await pause(milliseconds(10));
    co_await session().close();
    const int after = co_await echo("y");
    EXPECT_EQ(after, ENOTCONN);
    co_await session().close();  // again
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame frame;
    bool open = true;
    while (open) open = co_await peer->try_receive(frame);  // and sends no answers
  };
  run(client(), server());
  EXPECT_EQ(pending, ENOTCONN);
}

TEST_F(RpcEnd, CloseWhileTheServerIsAway) {
  options_.hard = true;
  int pending = -1;
  auto client = [&]() -> Task<void> {
    co_await start();
    while (session().state() == ConnectionState::kConnected) co_await pause(milliseconds(1));
    start_echo("x", pending);
    co_await pause(milliseconds(300));  // to the middle of a backoff
    EXPECT_EQ(session().state(), ConnectionState::kDisconnected);
    EXPECT_GT(session().silent_for_us().count(), 0);
    co_await session().close();
    session_.reset();
    co_await until_done(pending);
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    acceptor_.close();
    peer->close();
  };
  run(client(), server());
  EXPECT_EQ(pending, ENOTCONN);
}

TEST_F(RpcEnd, CloseWhileConnecting) {
  EndlessConnector endless;
  Session stuck(io_.get_executor(), clock_, endless, options_);
  auto starter = [&]() -> Task<void> {
    auto started = co_await stuck.start();
    EXPECT_FALSE(started);
    if (!started) {
      EXPECT_EQ(started.error(), Errno(ENOTCONN));
    }
  };
  auto closer = [&]() -> Task<void> {
    while (endless.attempts == 0) co_await pause(milliseconds(1));
    co_await stuck.close();
    EXPECT_EQ(stuck.state(), ConnectionState::kClosed);
  };
  run(starter(), closer());
}

TEST_F(RpcEnd, CloseDuringHello) {
  auto starter = [&]() -> Task<void> {
    auto started = co_await session().start();
    EXPECT_FALSE(started);
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept_hello();
    co_await session().close();
    co_await peer->expect_end();
  };
  run(starter(), server());
}

TEST_F(RpcEnd, DestroyedWithoutCloseWhenTheLoopHasEnded) {
  options_.slots = 3;
  int results[4];
  auto client = [&]() -> Task<void> {
    co_await start();
    for (int i = 0; i < 4; ++i) start_echo(std::to_string(i), results[i]);
    co_await pause(milliseconds(10));
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    for (int i = 0; i < 2; ++i) co_await peer->receive();
  };
  run(client(), server());
  for (int result : results) EXPECT_EQ(result, -1);
  session_.reset();  // before the loop; the sanitizers would report a leak or a use after free
}

TEST_F(RpcEnd, TheLoopRunsDryAfterClose) {
  auto client = [&]() -> Task<void> {
    co_await start();
    const int got = co_await echo("x");
    EXPECT_EQ(got, 0);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    co_await peer->send(echo_bytes(request));
    co_await peer->expect_end();
  };
  run(client(), server());
  session_.reset();
  flowing_ = false;
  clock_.skip(kAlarmSlice);
  io_.restart();
  io_.run_for(seconds(15));
  EXPECT_TRUE(io_.stopped()) << "something of the session still waits";
}

TEST_F(RpcEnd, ANameWithoutAnAddressIsENXIO) {
  auto nowhere = make_tcp_connector("not a host name", 1);
  auto client = [&]() -> Task<void> {
    auto connected = co_await nowhere->connect(seconds(15));
    EXPECT_FALSE(connected);
    if (!connected) {
      EXPECT_EQ(connected.error(), Errno(ENXIO));
    }
  };
  run(client(), nothing());
}

}  // namespace
}  // namespace foliofs::rpc
