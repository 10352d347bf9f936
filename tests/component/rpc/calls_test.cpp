// Calls, one and many, on a connection that does not break.
#include "tests/component/rpc/fixture.h"

namespace foliofs::rpc {
namespace {

class RpcCalls : public RpcTest {
 protected:
  // A READ into `memory`, as iovecs of the given sizes and a last one for the rest.
  Task<Result<RawReply>> read_into(Bytes& memory, std::vector<std::size_t> sizes) {
    std::vector<iovec> vectors;
    std::size_t at = 0;
    for (std::size_t size : sizes) {
      vectors.push_back({memory.data() + at, size});
      at += size;
    }
    vectors.push_back({memory.data() + at, memory.size() - at});
    Payload payload;
    payload.receive = vectors;
    const wire::ReadRequestT request;
    auto meta = proto::encode(request);
    co_return co_await session().exchange(proto::MessageType::kRead, std::move(meta), payload);
  }
};

TEST_F(RpcCalls, HelloSaysWhatTheOptionsSay) {
  options_.read_only = true;
  auto client = [&]() -> Task<void> {
    co_await start();
    EXPECT_EQ(session().state(), ConnectionState::kConnected);
    EXPECT_EQ(session().incarnation(), 1u);
    EXPECT_EQ(session().hello().slots, 8u);
    EXPECT_EQ(session().stats().sessions, 1u);
    co_await session().close();
    EXPECT_EQ(session().state(), ConnectionState::kClosed);
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply(200));
    EXPECT_EQ(peer->hello.export_name, "share");
    EXPECT_EQ(peer->hello.client_name, "test");
    EXPECT_EQ(peer->hello.slots, 8u);
    EXPECT_TRUE(peer->hello.read_only);
    EXPECT_TRUE(peer->hello.session.empty());
    Frame bye = co_await peer->receive();
    EXPECT_EQ(bye.header.type, proto::MessageType::kBye);
    co_await peer->send(reply_bytes(bye, wire::EmptyT()));
  };
  run(client(), server());
}

TEST_F(RpcCalls, RepliesInAnyOrderReachTheirCallers) {
  int results[4];
  auto client = [&]() -> Task<void> {
    co_await start();
    for (int i = 0; i < 4; ++i) start_echo("name " + std::to_string(i), results[i]);
    EXPECT_EQ(session().stats().in_flight, 4u);
    for (int& result : results) co_await until_done(result);
    EXPECT_EQ(session().stats().in_flight, 0u);
    EXPECT_EQ(session().stats().calls.at(proto::MessageType::kReadlink).count, 4u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    std::vector<Frame> requests;
    for (int i = 0; i < 4; ++i) requests.push_back(co_await peer->receive());
    for (int i : {2, 0, 3, 1}) co_await peer->send(echo_bytes(requests[i]));
    co_await peer->expect_end();
  };
  run(client(), server());
  for (int result : results) EXPECT_EQ(result, 0);
}

TEST_F(RpcCalls, PayloadGoesIntoTheVectorsWhereverItIsCut) {
  const Bytes data = pattern(300'000);
  // Sizes of the first piece that the server sends: inside the header, the metadata, the payload.
  const std::vector<std::size_t> cuts{1, 31, 32, 33, 50, 100, 4000, 65'536, 70'000, 250'000};
  auto client = [&]() -> Task<void> {
    co_await start();
    for (std::size_t cut : cuts) {
      Bytes memory(data.size() + 100);
      int after = -1;
      start_echo("behind it", after);
      const std::vector<std::size_t> sizes{10, 0, 60'000, 100'000};
      auto reply = co_await read_into(memory, sizes);
      EXPECT_TRUE(reply) << cut;
      if (reply) {
        EXPECT_EQ(reply.value().payload_bytes, data.size());
      }
      EXPECT_EQ(std::memcmp(memory.data(), data.data(), data.size()), 0) << cut;
      EXPECT_EQ(memory.back(), std::byte{0}) << "nothing beyond the payload";
      co_await until_done(after);
      EXPECT_EQ(after, 0);
    }
    EXPECT_EQ(session().stats().disconnects, 0u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    for (std::size_t cut : cuts) {
      Frame first = co_await peer->receive();
      Frame second = co_await peer->receive();
      const bool read_first = first.header.type == proto::MessageType::kRead;
      Bytes bytes = reply_bytes(read_first ? first : second, wire::ReadReplyT(), data);
      const Bytes echo = echo_bytes(read_first ? second : first);
      bytes.insert(bytes.end(), echo.begin(), echo.end());
      co_await peer->send(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(cut)));
      co_await pause(milliseconds(5));
      co_await peer->send(Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(cut), bytes.end()));
    }
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcCalls, PayloadIsSentFromManyVectors) {
  const Bytes data = pattern(1u << 20);
  auto client = [&]() -> Task<void> {
    co_await start();
    std::vector<iovec> vectors;  // more than one writev(2) accepts
    for (std::size_t at = 0; at < data.size(); at += 512) {
      vectors.push_back({const_cast<std::byte*>(data.data()) + at, 512});
    }
    Payload payload;
    payload.send = vectors;
    auto meta = proto::encode(wire::WriteRequestT());
    auto reply = co_await session().exchange(proto::MessageType::kWrite, std::move(meta), payload);
    EXPECT_TRUE(reply);
    EXPECT_EQ(session().stats().calls.at(proto::MessageType::kWrite).bytes_sent, data.size());
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame write = co_await peer->receive();
    EXPECT_EQ(write.payload, data);
    co_await peer->send(reply_bytes(write, wire::WriteReplyT()));
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcCalls, TheServersErrnoPassesUnchanged) {
  auto client = [&]() -> Task<void> {
    co_await start();
    for (int expected : {ENOENT, EDQUOT, 4095}) {
      const int got = co_await echo("x");
      EXPECT_EQ(got, expected);
    }
    // Three values that are no errno, and kSessionLost, which has another meaning inside the
    // client.
    for (int expected : {EPROTO, EPROTO, EPROTO, EIO}) {
      const int got = co_await echo("x");
      EXPECT_EQ(got, expected);
    }
    EXPECT_EQ(session().stats().calls.at(proto::MessageType::kReadlink).errors, 7u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    for (int value : {ENOENT, EDQUOT, 4095, 0, -1, 4096, kSessionLost.value()}) {
      Frame request = co_await peer->receive();
      co_await peer->send(error_bytes(request, value));
    }
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcCalls, APayloadThatDoesNotFitIsDrained) {
  const Bytes data = pattern(200'000);
  auto client = [&]() -> Task<void> {
    co_await start();
    for (int round = 0; round < 2; ++round) {
      Bytes memory(100);
      const std::vector<std::size_t> one_vector;
      auto reply = co_await read_into(memory, one_vector);
      EXPECT_FALSE(reply);
      if (!reply) {
        EXPECT_EQ(reply.error(), Errno(EPROTO));
      }
      EXPECT_EQ(memory, Bytes(100));
    }
    const int after = co_await echo("after");
    EXPECT_EQ(after, 0);
    EXPECT_EQ(session().stats().disconnects, 0u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    for (std::size_t size : {std::size_t{101}, data.size()}) {
      Frame request = co_await peer->receive();
      const Bytes payload(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
      co_await peer->send(reply_bytes(request, wire::ReadReplyT(), payload));
    }
    Frame request = co_await peer->receive();
    co_await peer->send(echo_bytes(request));
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcCalls, AnAnswerToNobodyIsSkipped) {
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
    Frame stranger = request;
    stranger.header.request_id += 256;
    co_await peer->send(reply_bytes(stranger, wire::ReadReplyT(), pattern(100'000)));
    co_await peer->send(echo_bytes(request));
    co_await peer->send(echo_bytes(request));  // twice
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcCalls, CallsWaitWhileAllSlotsAreTaken) {
  options_.slots = 3;  // two for calls, one reserved
  int results[5];
  auto client = [&]() -> Task<void> {
    co_await start();
    for (int i = 0; i < 5; ++i) start_echo(std::to_string(i), results[i]);
    for (int& result : results) co_await until_done(result);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame a = co_await peer->receive();
    Frame b = co_await peer->receive();
    co_await pause(milliseconds(20));
    EXPECT_EQ(peer->socket.available(), 0u) << "a third request without a slot";
    EXPECT_NE(a.header.slot, b.header.slot);
    co_await peer->send(echo_bytes(b));
    Frame c = co_await peer->receive();
    EXPECT_EQ(c.name(), "2") << "in the order in which they came";
    EXPECT_EQ(c.header.slot, b.header.slot);
    EXPECT_EQ(c.header.sequence, b.header.sequence + 1);
    co_await peer->send(echo_bytes(a));
    co_await peer->send(echo_bytes(c));
    for (int i = 0; i < 2; ++i) {
      Frame next = co_await peer->receive();
      co_await peer->send(echo_bytes(next));
    }
    co_await peer->expect_end();
  };
  run(client(), server());
  for (int result : results) EXPECT_EQ(result, 0);
}

TEST_F(RpcCalls, WhatIsTooLongForAFrameIsRefusedAtOnce) {
  auto client = [&]() -> Task<void> {
    co_await start();
    const Bytes data(kMaxPayloadBytes + 1);
    const iovec vector{const_cast<std::byte*>(data.data()), data.size()};
    Payload payload;
    payload.send = std::span(&vector, 1);
    auto meta = proto::encode(wire::WriteRequestT());
    auto reply = co_await session().exchange(proto::MessageType::kWrite, std::move(meta), payload);
    EXPECT_FALSE(reply);
    if (!reply) {
      EXPECT_EQ(reply.error(), Errno(EMSGSIZE));
    }
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    co_await peer->expect_end();
  };
  run(client(), server());
}

}  // namespace
}  // namespace foliofs::rpc
