// Sessions over broken connections: exactly-once calls, fencing, and clients that break the
// protocol.
#include "tests/component/server/fixture.h"

namespace foliofs::server {
namespace {

class Sessions : public ServerTest {};

TEST_F(Sessions, AnotherVersionIsToldBoth) {
  RawClient client(port());
  wire::HelloRequestT request;
  request.version = 77;
  request.export_name = "data";
  EXPECT_EQ(errno_of(client.exchange(FrameHeader{MessageType::kHello}, request)), EPROTONOSUPPORT);
  EXPECT_NE(client.error_text().find("77"), std::string::npos);
  EXPECT_NE(client.error_text().find("version 1"), std::string::npos);
  EXPECT_TRUE(client.has_ended());
}

TEST_F(Sessions, UnknownExportsAreNamed) {
  RawClient client(port());
  EXPECT_EQ(errno_of(client.hello("nonsense")), ENOENT);
  EXPECT_NE(client.error_text().find("nonsense"), std::string::npos);
  EXPECT_TRUE(client.has_ended());
}

TEST_F(Sessions, ARetriedCreateIsNotMadeTwice) {
  auto first = connect();
  const auto header = first->next(MessageType::kCreate, 3);
  const auto request = first->create_request(first->root(), "file", O_RDWR | O_EXCL);
  auto made = first->exchange(header, request);
  ASSERT_TRUE(made);

  RawClient second(port());
  auto hello = second.hello("data", first->session());
  ASSERT_TRUE(hello);
  EXPECT_TRUE(hello.value().resumed);
  EXPECT_EQ(hello.value().session, first->session());
  ASSERT_EQ(hello.value().slot_sequences.size(), hello.value().slots);
  EXPECT_EQ(hello.value().slot_sequences[3], 1u);
  EXPECT_EQ(hello.value().slot_sequences[0], 0u);
  auto retried = second.exchange(header, request);
  ASSERT_TRUE(retried) << errno_name(retried.error());
  EXPECT_EQ(retried.value().reply.open_id, made.value().reply.open_id);
  EXPECT_TRUE(retried.value().reply.created);
  EXPECT_TRUE(first->has_ended());
}

TEST_F(Sessions, ARequestWhoseReplyWasLostHappensOnce) {
  auto first = connect();
  const auto id = first->create(first->root(), "counter").value().reply.open_id;
  // Sends the request, and cuts the connection before reading the reply.
  wire::UnlinkRequestT unlink;
  unlink.caller = first->caller();
  unlink.parent = first->root();
  unlink.name = "counter";
  const auto header = first->next(MessageType::kUnlink, 1);
  ASSERT_TRUE(first->send(header, unlink));
  first->hang_up();

  RawClient second(port());
  auto hello = second.hello("data", first->session());
  ASSERT_TRUE(hello);
  second.take_over(*first);
  auto answer = second.exchange(header, unlink);
  EXPECT_TRUE(answer) << errno_name(answer.error());
  // The open file belongs to the session, so it has survived.
  EXPECT_TRUE(second.write(id, 0, "x"));
}

TEST_F(Sessions, ErrorsAreReplayedToo) {
  auto first = connect();
  auto request = first->create_request(first->root(), "file", O_RDWR | O_EXCL);
  put_file("file", "x");
  const auto header = first->next(MessageType::kCreate, 2);
  EXPECT_EQ(errno_of(first->exchange(header, request)), EEXIST);
  fs::remove(tree() / "file");
  RawClient second(port());
  ASSERT_TRUE(second.hello("data", first->session()));
  EXPECT_EQ(errno_of(second.exchange(header, request)), EEXIST);
  EXPECT_FALSE(fs::exists(tree() / "file"));
}

TEST_F(Sessions, RetriedReadsAndOpensHaveTheirData) {
  put_file("file", "content");
  auto first = connect();
  wire::OpenRequestT open;
  open.caller = first->caller();
  open.handle = first->lookup(first->root(), "file").value().reply.handle;
  open.open_flags = O_RDONLY;
  open.read_bytes = 100;
  const auto open_header = first->next(MessageType::kOpen, 1);
  auto opened = first->exchange(open_header, open);
  ASSERT_TRUE(opened);
  wire::ReadRequestT read;
  read.open_id = opened.value().reply.open_id;
  read.length = 100;
  const auto read_header = first->next(MessageType::kRead, 2);
  ASSERT_TRUE(first->exchange(read_header, read));

  RawClient second(port());
  ASSERT_TRUE(second.hello("data", first->session()));
  auto again = second.exchange(open_header, open);
  ASSERT_TRUE(again);
  EXPECT_EQ(again.value().reply.open_id, opened.value().reply.open_id);
  EXPECT_EQ(again.value().payload, "content");
  EXPECT_EQ(second.exchange(read_header, read).value().payload, "content");
}

TEST_F(Sessions, ASessionIsBoundToItsExport) {
  auto client = connect();
  RawClient thief(port());
  EXPECT_EQ(errno_of(thief.hello("ro", client->session())), EINVAL);
  EXPECT_TRUE(client->call(wire::PingRequestT()));
}

TEST_F(Sessions, AnUnknownSessionBeginsAnew) {
  RawClient client(port());
  auto hello = client.hello("data", Bytes(16, 7));
  ASSERT_TRUE(hello);
  EXPECT_FALSE(hello.value().resumed);
  EXPECT_NE(hello.value().session, Bytes(16, 7));
  EXPECT_TRUE(client.call(wire::PingRequestT()));
}

TEST_F(Sessions, ByeEndsTheSession) {
  auto client = connect();
  ASSERT_TRUE(client->create(client->root(), "file"));
  ASSERT_TRUE(client->call(wire::ByeRequestT()));
  EXPECT_TRUE(client->has_ended());
  RawClient late(port());
  auto hello = late.hello("data", client->session());
  ASSERT_TRUE(hello);
  EXPECT_FALSE(hello.value().resumed);
}

// --- Clients that break the protocol -------------------------------------------------------------

TEST_F(Sessions, GarbageEndsOnlyItsConnection) {
  auto bystander = connect();
  {
    RawClient client(port());
    client.send_bytes(std::string(64, 'G'));
    EXPECT_TRUE(client.has_ended());
  }
  {
    auto client = connect();
    client->send_bytes(std::string(4096, '\xff'));
    EXPECT_TRUE(client->has_ended());
  }
  {
    auto client = connect();
    auto header = client->next(MessageType::kLookup);
    client->send_bytes(
        RawClient::frame_bytes(header, "this is no table, whatever it claims to be"));
    EXPECT_TRUE(client->has_ended());
  }
  EXPECT_TRUE(bystander->call(wire::PingRequestT()));
}

TEST_F(Sessions, TooLongEndsTheConnectionBeforeAnythingIsAllocated) {
  for (const bool payload : {false, true}) {
    auto client = connect();
    auto header = client->next(MessageType::kWrite);
    auto bytes = RawClient::frame_bytes(header, "");
    std::memset(bytes.data() + (payload ? 12 : 8), 0x7f, 4);
    client->send_bytes(bytes);
    EXPECT_TRUE(client->has_ended());
  }
  auto client = connect();
  client->send_bytes(
      RawClient::frame_bytes(client->next(MessageType::kLookup), std::string(100'000, 'm')));
  EXPECT_TRUE(client->has_ended());
}

TEST_F(Sessions, OutOfSequenceEndsTheConnection) {
  const auto ends = [&](auto change) {
    auto client = connect();
    EXPECT_TRUE(client->call(wire::PingRequestT()));
    FrameHeader header = client->next(MessageType::kPing);
    change(header);
    client->send(header, wire::PingRequestT());
    return client->has_ended();
  };
  EXPECT_TRUE(ends([](FrameHeader& h) { h.sequence += 1; }));
  EXPECT_TRUE(ends([](FrameHeader& h) { h.sequence -= 2; }));
  EXPECT_TRUE(ends([](FrameHeader& h) { h.slot = 8; }));
  EXPECT_TRUE(ends([](FrameHeader& h) { h.flags = proto::kFlagReply; }));
  EXPECT_TRUE(ends([](FrameHeader& h) { h.type = MessageType::kHello; }));
}

TEST_F(Sessions, NothingBeforeHello) {
  RawClient client(port());
  client.send(client.next(MessageType::kPing), wire::PingRequestT());
  EXPECT_TRUE(client.has_ended());
}

TEST_F(Sessions, OnlyWritesHaveAPayload) {
  auto client = connect();
  client->send(client->next(MessageType::kPing), wire::PingRequestT(), "payload");
  EXPECT_TRUE(client->has_ended());
}

// The server accepts a frame that arrives byte by byte.
TEST_F(Sessions, FramesInPieces) {
  auto client = connect();
  const auto meta = proto::encode(wire::PingRequestT());
  const auto header = client->next(MessageType::kPing);
  for (char byte :
       RawClient::frame_bytes(header, {reinterpret_cast<const char*>(meta.data()), meta.size()})) {
    ASSERT_TRUE(client->send_bytes({&byte, 1}));
  }
  EXPECT_TRUE(client->read_answer<wire::Empty>(header));
}

// The server stops reading from a client that reads no replies; other clients do not notice.
TEST_F(Sessions, AClientThatDoesNotReadIsHeldBack) {
  auto greedy = std::make_unique<RawClient>(port());
  ASSERT_TRUE(greedy->hello("data", {}, 256));
  const auto id = greedy->create(greedy->root(), "file").value().reply.open_id;
  ASSERT_TRUE(greedy->write(id, 0, std::string(kMaxPayloadBytes, 'x')));
  std::map<std::uint64_t, bool> asked;
  for (std::uint32_t slot = 1; slot < 200; ++slot) {
    wire::ReadRequestT read;
    read.open_id = id;
    read.length = kMaxPayloadBytes;
    const auto header = greedy->next(MessageType::kRead, slot);
    ASSERT_TRUE(greedy->send(header, read));
    asked[header.request_id] = true;
  }
  auto bystander = connect();
  EXPECT_TRUE(bystander->call(wire::PingRequestT()));
  while (!asked.empty()) {
    auto frame = greedy->receive();
    ASSERT_TRUE(frame);
    ASSERT_EQ(frame.value().payload.size(), kMaxPayloadBytes);
    ASSERT_EQ(asked.erase(frame.value().header.request_id), 1u);
  }
}

// --- Time ----------------------------------------------------------------------------------------

class ShortGrace : public ServerTest {
 protected:
  void adjust(Options& options) override {
    options.grace = std::chrono::milliseconds(100);
    options.hello_timeout = std::chrono::milliseconds(100);
  }
};

TEST_F(ShortGrace, ASessionWithoutAConnectionEnds) {
  auto client = connect();
  const Bytes session = client->session();
  client->hang_up();
  for (int tries = 0; tries < 100; ++tries) {
    ::usleep(200'000);
    RawClient late(port());
    auto hello = late.hello("data", session);
    ASSERT_TRUE(hello);
    if (!hello.value().resumed) return;
  }
  FAIL() << "the session never ended";
}

TEST_F(ShortGrace, ASessionWithAConnectionDoesNot) {
  auto client = connect();
  ::usleep(500'000);
  EXPECT_TRUE(client->call(wire::PingRequestT()));
}

TEST_F(ShortGrace, AClientThatSaysNothingIsCutOff) {
  RawClient client(port());
  EXPECT_TRUE(client.has_ended());
}

}  // namespace
}  // namespace foliofs::server
