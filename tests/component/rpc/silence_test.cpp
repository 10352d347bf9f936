// Servers that are unreachable or silent: soft and hard time-outs, probes, keep-alive.
#include "tests/component/rpc/fixture.h"

namespace foliofs::rpc {
namespace {

class RpcSilence : public RpcTest {
 protected:
  static constexpr Duration kTimeout = seconds(10);
  static constexpr Duration kTooLong = seconds(11);

  // Lets the server's script wait until the client's script has reached a point.
  Task<void> until(const bool& reached) {
    while (!reached) co_await pause(milliseconds(1));
  }
  // Lets the time-out pass repeatedly, because bytes that arrive late start it again.
  Task<void> skip_until(const bool& reached) {
    while (!reached) {
      clock_.skip(kTooLong);
      co_await pause(milliseconds(5));
    }
  }
};

TEST_F(RpcSilence, ASoftCallTimesOutAndItsSlotComesBackWithTheAnswer) {
  options_.timeout_us = kTimeout;
  options_.slots = 2;  // one for calls
  bool next_waits = false;
  auto client = [&]() -> Task<void> {
    co_await start();
    EXPECT_EQ(session().silent_for_us().count(), 0);
    int waiting = -1;
    start_echo("waits for the slot", waiting);
    const int late = co_await echo("late");
    EXPECT_EQ(late, ETIMEDOUT);
    co_await until_done(waiting);
    EXPECT_EQ(waiting, ETIMEDOUT);
    EXPECT_EQ(session().stats().in_flight, 0u);
    EXPECT_EQ(session().state(), ConnectionState::kConnected);
    int next = -1;
    start_echo("next", next);
    next_waits = true;
    co_await until_done(next);
    EXPECT_EQ(next, 0);
    EXPECT_EQ(session().stats().disconnects, 0u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame late = co_await peer->receive();
    clock_.skip(kTooLong);
    co_await until(next_waits);
    co_await pause(milliseconds(5));
    EXPECT_EQ(peer->socket.available(), 0u) << "the slot is still taken";
    co_await peer->send(echo_bytes(late));
    Frame next = co_await peer->receive();
    EXPECT_EQ(next.name(), "next");
    EXPECT_EQ(next.header.slot, late.header.slot);
    EXPECT_EQ(next.header.sequence, late.header.sequence + 1);
    co_await peer->send(echo_bytes(next));
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcSilence, ASlotGivenUpIsRecoveredByResuming) {
  options_.timeout_us = kTimeout;
  options_.slots = 2;
  for (const bool arrived : {true, false}) {
    session_.reset();
    io_.restart();
    bool timed_out = false;
    auto client = [&]() -> Task<void> {
      co_await start();
      const int late = co_await echo("late");
      EXPECT_EQ(late, ETIMEDOUT);
      timed_out = true;
      int next = co_await echo("next");
      EXPECT_EQ(next, 0);
      co_await session().close();
    };
    auto server = [&]() -> Task<void> {
      auto peer = co_await accept(hello_reply());
      Frame late = co_await peer->receive();
      co_await skip_until(timed_out);
      peer->close();
      const std::vector<std::uint32_t> sequences{arrived ? late.header.sequence : 0, 0};
      peer = co_await accept(resumed_reply(sequences));
      if (arrived) {
        // The server may still be executing the call, so the slot is free only after its reply.
        Frame again = co_await peer->receive();
        EXPECT_EQ(again.header.sequence, late.header.sequence);
        EXPECT_EQ(again.header.request_id, late.header.request_id);
        co_await peer->send(echo_bytes(again));
      }
      Frame next = co_await peer->receive();
      EXPECT_EQ(next.name(), "next");
      EXPECT_EQ(next.header.sequence, late.header.sequence + (arrived ? 1 : 0));
      co_await peer->send(echo_bytes(next));
      co_await peer->expect_end();
    };
    run(client(), server());
  }
}

TEST_F(RpcSilence, MemoryOfACallThatTimedOutIsNotTouched) {
  options_.timeout_us = kTimeout;
  const Bytes data = pattern(400'000);
  bool timed_out = false;
  auto client = [&]() -> Task<void> {
    co_await start();
    Bytes memory(data.size());
    const iovec vector{memory.data(), memory.size()};
    Payload payload;
    payload.receive = std::span(&vector, 1);
    auto meta = proto::encode(wire::ReadRequestT());
    auto reply = co_await session().exchange(proto::MessageType::kRead, std::move(meta), payload);
    EXPECT_FALSE(reply);
    if (!reply) {
      EXPECT_EQ(reply.error(), Errno(ETIMEDOUT));
    }
    std::fill(memory.begin(), memory.end(), std::byte{0xcc});
    timed_out = true;
    const int after = co_await echo("after");
    EXPECT_EQ(after, 0);
    EXPECT_EQ(memory, Bytes(data.size(), std::byte{0xcc}));
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    const Bytes whole = reply_bytes(request, wire::ReadReplyT(), data);
    co_await peer->send(Bytes(whole.begin(), whole.begin() + 200'000));
    co_await pause(milliseconds(20));
    co_await skip_until(timed_out);
    co_await peer->send(Bytes(whole.begin() + 200'000, whole.end()));
    peer->close();
    std::vector<std::uint32_t> sequences(8, 0);
    sequences[request.header.slot] = request.header.sequence;
    peer = co_await accept(resumed_reply(sequences));
    for (int i = 0; i < 2; ++i) {
      Frame next = co_await peer->receive();
      const bool read = next.header.type == proto::MessageType::kRead;
      Bytes answer = read ? reply_bytes(next, wire::ReadReplyT(), data) : echo_bytes(next);
      co_await peer->send(std::move(answer));
    }
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcSilence, ASoftCallTimesOutWhileTheServerDoesNotRead) {
  options_.timeout_us = kTimeout;
  bool all_timed_out = false;
  auto client = [&]() -> Task<void> {
    co_await start();
    // More bytes than the sockets' buffers take, so that one call times out while it is being sent.
    int timed_out = 0;
    auto write = [&]() -> Task<void> {
      Bytes data(kMaxPayloadBytes);
      const iovec vector{data.data(), data.size()};
      Payload payload;
      payload.send = std::span(&vector, 1);
      auto meta = proto::encode(wire::WriteRequestT());
      auto reply =
          co_await session().exchange(proto::MessageType::kWrite, std::move(meta), payload);
      if (!reply && reply.error() == Errno(ETIMEDOUT)) ++timed_out;
      done_.wake_all();
    };
    constexpr int kWrites = 60;
    for (int i = 0; i < kWrites; ++i) spawn(io_.get_executor(), "write", write());
    while (timed_out < kWrites) co_await done_.wait();
    all_timed_out = true;
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply(64));
    co_await pause(milliseconds(50));
    co_await skip_until(all_timed_out);
    while (session().state() != ConnectionState::kClosed) co_await pause(milliseconds(1));
  };
  options_.slots = 64;
  run(client(), server());
}

TEST_F(RpcSilence, ASlowServerThatIsAliveIsWaitedFor) {
  options_.timeout_us = kTimeout;
  auto client = [&]() -> Task<void> {
    co_await start();
    int slow = -1;
    start_echo("slow", slow);
    for (int i = 0; i < 12; ++i) {
      const int quick = co_await echo("quick");
      EXPECT_EQ(quick, 0);
      clock_.skip(kTimeout / 2);
    }
    const int last = co_await echo("last");
    EXPECT_EQ(last, 0);
    co_await until_done(slow);
    EXPECT_EQ(slow, 0);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame slow = co_await peer->receive();
    for (;;) {
      Frame request = co_await peer->receive();
      co_await peer->send(echo_bytes(request));
      if (request.name() == "last") break;
    }
    co_await peer->send(echo_bytes(slow));
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcSilence, AHardCallWaitsUntilTheServerIsBack) {
  options_.timeout_us = seconds(1);
  options_.hard = true;
  int pending = -1;
  auto client = [&]() -> Task<void> {
    co_await start();
    start_echo("x", pending);
    co_await until_done(pending);
    EXPECT_EQ(pending, 0);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    clock_.skip(kTooLong);
    co_await pause(milliseconds(20));
    EXPECT_GE(session().silent_for_us(), kTooLong);
    peer->close();
    peer = co_await accept_hello();
    clock_.skip(seconds(5));
    co_await pause(milliseconds(20));
    EXPECT_EQ(pending, -1);
    std::vector<std::uint32_t> sequences(8, 0);
    sequences[request.header.slot] = request.header.sequence;
    Bytes answer = reply_bytes(hello_frame_, resumed_reply(sequences));
    co_await peer->send(std::move(answer));
    Frame again = co_await peer->receive();
    co_await peer->send(echo_bytes(again));
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcSilence, ASilentConnectionIsProbedAndThenMadeAnew) {
  auto client = [&]() -> Task<void> {
    co_await start();
    const int got = co_await echo("x");
    EXPECT_EQ(got, 0);
    EXPECT_EQ(session().stats().disconnects, 1u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    clock_.skip(seconds(6));
    Frame ping = co_await peer->receive_ping();
    EXPECT_NE(ping.header.slot, request.header.slot);
    clock_.skip(seconds(10));
    co_await peer->expect_end();  // the client takes the silent connection for half-open
    std::vector<std::uint32_t> sequences(8, 0);
    sequences[request.header.slot] = request.header.sequence;
    sequences[ping.header.slot] = ping.header.sequence;
    auto next = co_await accept(resumed_reply(sequences));
    Frame again = co_await next->receive();
    EXPECT_EQ(again.header.request_id, request.header.request_id);
    co_await next->send(echo_bytes(again));
    co_await next->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcSilence, AnAnsweredProbeKeepsTheConnection) {
  auto client = [&]() -> Task<void> {
    co_await start();
    const int got = co_await echo("x");
    EXPECT_EQ(got, 0);
    EXPECT_EQ(session().stats().disconnects, 0u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    for (int i = 0; i < 5; ++i) {  // in all longer than a silent connection is kept
      clock_.skip(seconds(6));
      Frame ping = co_await peer->receive_ping();
      co_await peer->send(reply_bytes(ping, wire::EmptyT()));
      while (session().stats().in_flight > 1) co_await pause(milliseconds(1));
    }
    co_await peer->send(echo_bytes(request));
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcSilence, AnIdleSessionIsKeptAlive) {
  auto client = [&]() -> Task<void> {
    co_await start();
    const auto& calls = session().stats().calls;
    while (!calls.contains(proto::MessageType::kPing) ||
           calls.at(proto::MessageType::kPing).count < 3) {
      if (session().stats().in_flight == 0) clock_.skip(seconds(1));
      co_await pause(milliseconds(1));
    }
    EXPECT_EQ(session().silent_for_us().count(), 0);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto hello = hello_reply();
    hello.grace_us = 12'000'000;
    auto peer = co_await accept(std::move(hello));
    for (int i = 0; i < 3; ++i) {
      Frame ping = co_await peer->receive_ping();
      co_await peer->send(reply_bytes(ping, wire::EmptyT()));
    }
    co_await peer->expect_end();
  };
  run(client(), server());
}

}  // namespace
}  // namespace foliofs::rpc
