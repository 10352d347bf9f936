// What happens to calls when the connection breaks and the session is resumed, lost or refused; and
// which bytes break a connection.
#include "tests/component/rpc/fixture.h"

namespace foliofs::rpc {
namespace {

class RpcReconnect : public RpcTest {
 protected:
  static std::vector<std::uint32_t> sequences_with(const Frame& frame, bool arrived) {
    std::vector<std::uint32_t> sequences(8, 0);
    sequences[frame.header.slot] = arrived ? frame.header.sequence : frame.header.sequence - 1;
    return sequences;
  }
};

// The connection is cut after this many bytes of the reply, then the session resumes.
class RpcReplay : public RpcReconnect, public testing::WithParamInterface<std::size_t> {};

TEST_P(RpcReplay, ACutReplyIsAskedForAgainAndCompletesOnce) {
  int completions = 0;
  const Bytes data = pattern(200'000);
  auto client = [&]() -> Task<void> {
    co_await start();
    Bytes memory(data.size());
    const iovec vectors[] = {{memory.data(), 1000}, {memory.data() + 1000, data.size() - 1000}};
    Payload payload;
    payload.receive = vectors;
    auto meta = proto::encode(wire::ReadRequestT());
    auto reply = co_await session().exchange(proto::MessageType::kRead, std::move(meta), payload);
    ++completions;
    EXPECT_TRUE(reply);
    EXPECT_EQ(memory, data);
    EXPECT_EQ(session().incarnation(), 1u);
    EXPECT_EQ(session().stats().replays, 1u);
    EXPECT_EQ(session().stats().disconnects, 1u);
    EXPECT_EQ(session().stats().connects, 2u);
    EXPECT_EQ(session().stats().sessions, 1u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    const Bytes whole = reply_bytes(request, wire::ReadReplyT(), data);
    const auto cut = static_cast<std::ptrdiff_t>(std::min(GetParam(), whole.size() - 1));
    co_await peer->send(Bytes(whole.begin(), whole.begin() + cut));
    co_await pause(milliseconds(10));
    peer->close();

    peer = co_await accept(resumed_reply(sequences_with(request, true)));
    EXPECT_EQ(peer->hello.session, std::vector<std::uint8_t>(16, 0x5a));
    Frame again = co_await peer->receive();
    EXPECT_EQ(again.header.slot, request.header.slot);
    EXPECT_EQ(again.header.sequence, request.header.sequence);
    EXPECT_EQ(again.header.request_id, request.header.request_id);
    EXPECT_EQ(again.meta, request.meta);
    co_await peer->send(reply_bytes(again, wire::ReadReplyT(), data));
    co_await peer->expect_end();
  };
  run(client(), server());
  EXPECT_EQ(completions, 1);
}

INSTANTIATE_TEST_SUITE_P(Cuts, RpcReplay,
                         testing::Values(0, 1, 20, 32, 40, 5'000, 80'000, 10'000'000));

TEST_F(RpcReconnect, ARequestCutMidwayIsSentAgainWithItsPayload) {
  const Bytes data = pattern(1u << 20);
  auto client = [&]() -> Task<void> {
    co_await start();
    const iovec vector{const_cast<std::byte*>(data.data()), data.size()};
    Payload payload;
    payload.send = std::span(&vector, 1);
    auto meta = proto::encode(wire::WriteRequestT());
    auto reply = co_await session().exchange(proto::MessageType::kWrite, std::move(meta), payload);
    EXPECT_TRUE(reply);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Bytes some(1000);
    co_await asio::async_read(peer->socket, asio::buffer(some), asio::use_awaitable);
    peer->close();
    peer = co_await accept(resumed_reply(std::vector<std::uint32_t>(8, 0)));
    Frame write = co_await peer->receive();
    EXPECT_EQ(write.header.sequence, 1u);
    EXPECT_EQ(write.payload, data);
    co_await peer->send(reply_bytes(write, wire::WriteReplyT()));
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcReconnect, ALostSessionFailsWhatWasSentAndKeepsWhatWasNot) {
  int sent, unsent, bound;
  bool all_made = false;
  auto client = [&]() -> Task<void> {
    co_await start();
    start_echo("sent", sent);
    while (session().state() == ConnectionState::kConnected) co_await pause(milliseconds(1));
    EXPECT_EQ(sent, -1) << "may still be answered";
    start_echo("unsent", unsent);
    start_echo("bound", bound, session().incarnation());
    all_made = true;
    for (int* result : {&sent, &unsent, &bound}) co_await until_done(*result);
    EXPECT_EQ(sent, kSessionLost.value());
    EXPECT_EQ(bound, kSessionLost.value());
    EXPECT_EQ(unsent, 0);
    EXPECT_EQ(session().incarnation(), 2u);
    EXPECT_EQ(session().stats().sessions, 2u);
    EXPECT_EQ(session().hello().server_name, "another");
    const int stale = co_await echo("stale", 1);
    EXPECT_EQ(stale, kSessionLost.value());
    const int fresh = co_await echo("fresh", 2);
    EXPECT_EQ(fresh, 0);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame first = co_await peer->receive();
    EXPECT_EQ(first.name(), "sent");
    peer->close();
    auto another = hello_reply(4);
    another.server_name = "another";
    peer = co_await accept_hello();
    while (!all_made) co_await pause(milliseconds(1));  // without a connection
    Bytes answer = reply_bytes(hello_frame_, another);
    co_await peer->send(std::move(answer));
    for (const char* expected : {"unsent", "fresh"}) {
      Frame request = co_await peer->receive();
      EXPECT_EQ(request.name(), expected);
      EXPECT_LT(request.header.slot, 4u);
      co_await peer->send(echo_bytes(request));
    }
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcReconnect, AServerThatContradictsTheSequencesGetsANewSession) {
  auto client = [&]() -> Task<void> {
    co_await start();
    const int got = co_await echo("x");
    EXPECT_EQ(got, kSessionLost.value());
    EXPECT_EQ(session().incarnation(), 2u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    peer->close();
    auto wrong = sequences_with(request, true);
    wrong[request.header.slot] += 1;
    peer = co_await accept(resumed_reply(wrong));
    co_await peer->expect_end();
    peer = co_await accept(hello_reply());
    EXPECT_TRUE(peer->hello.session.empty()) << "there is nothing to resume any more";
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcReconnect, ARefusedReconnectIsTriedAgain) {
  pace_ = milliseconds(100);
  auto client = [&]() -> Task<void> {
    co_await start();
    const int got = co_await echo("x");
    EXPECT_EQ(got, 0);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    peer->close();
    for (int refusal : {ENOENT, EPROTONOSUPPORT}) {
      peer = co_await accept_hello();
      co_await peer->send(error_bytes(hello_frame_, refusal));
      co_await peer->expect_end();
    }
    peer = co_await accept(resumed_reply(sequences_with(request, true)));
    Frame again = co_await peer->receive();
    co_await peer->send(echo_bytes(again));
    co_await peer->expect_end();
  };
  run(client(), server());
}

// Each kind of garbage ends the connection, and the call is answered over the next one.
class RpcGarbage : public RpcReconnect, public testing::WithParamInterface<int> {
 protected:
  Bytes garbage(const Frame& request) const {
    Bytes bytes = echo_bytes(request);
    Frame other = request;
    switch (GetParam()) {
      case 0:  // magic
        bytes[0] ^= std::byte{0xff};
        return bytes;
      case 1:  // longer than any frame
        bytes[11] = std::byte{0xff};
        return bytes;
      case 2:  // not a reply
        bytes[6] = std::byte{0};
        return bytes;
      case 3:
        return pattern(100'000, 77);
      default:  // a frame of the maximum length, followed by noise
        other.header.request_id += 256;
        bytes = reply_bytes(other, wire::ReadReplyT(), pattern(kMaxPayloadBytes));
        bytes.insert(bytes.end(), 64, std::byte{0xee});
        return bytes;
    }
  }
};

TEST_P(RpcGarbage, EndsTheConnectionAndNothingElse) {
  auto client = [&]() -> Task<void> {
    co_await start();
    const int got = co_await echo("x");
    EXPECT_EQ(got, 0);
    EXPECT_EQ(session().stats().disconnects, 1u);
    EXPECT_EQ(session().stats().replays, 1u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    co_await peer->send(garbage(request));
    co_await peer->expect_end();
    peer = co_await accept(resumed_reply(sequences_with(request, true)));
    Frame again = co_await peer->receive();
    co_await peer->send(echo_bytes(again));
    co_await peer->expect_end();
  };
  run(client(), server());
}

INSTANTIATE_TEST_SUITE_P(Kinds, RpcGarbage, testing::Range(0, 5));

TEST_F(RpcReconnect, AnAnswerOfAnotherKindFailsItsCallAndEndsTheConnection) {
  options_.slots = 2;  // one for calls
  auto client = [&]() -> Task<void> {
    co_await start();
    const int got = co_await echo("x");
    EXPECT_EQ(got, EPROTO);
    const int next = co_await echo("y");
    EXPECT_EQ(next, 0);
    EXPECT_EQ(session().stats().replays, 0u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    Frame other = request;
    other.header.type = proto::MessageType::kStatFs;
    co_await peer->send(reply_bytes(other, wire::StatFsReplyT()));
    co_await peer->expect_end();
    peer = co_await accept(resumed_reply(sequences_with(request, true)));
    Frame next = co_await peer->receive();
    EXPECT_EQ(next.name(), "y");
    EXPECT_EQ(next.header.slot, request.header.slot);
    EXPECT_EQ(next.header.sequence, request.header.sequence + 1);
    co_await peer->send(echo_bytes(next));
    co_await peer->expect_end();
  };
  run(client(), server());
}

TEST_F(RpcReconnect, MetadataThatIsNoTableIsAnErrorOfThatCall) {
  auto client = [&]() -> Task<void> {
    co_await start();
    const int got = co_await echo("x");
    EXPECT_EQ(got, EPROTO);
    const int next = co_await echo("y");
    EXPECT_EQ(next, 0);
    EXPECT_EQ(session().stats().disconnects, 0u);
    co_await session().close();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply());
    Frame request = co_await peer->receive();
    request.header.flags = proto::kFlagReply;
    co_await peer->send(frame_bytes(request.header, pattern(40), {}));
    Frame next = co_await peer->receive();
    co_await peer->send(echo_bytes(next));
    co_await peer->expect_end();
  };
  run(client(), server());
}

}  // namespace
}  // namespace foliofs::rpc
