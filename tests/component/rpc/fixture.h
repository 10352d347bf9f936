// A session against a scripted server over loopback TCP, both on one loop: each test says what the
// server does, step by step. Time is virtual. A script that does not end within a bound fails its
// test.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "foliofs/base/limits.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/proto/messages.h"
#include "foliofs/rpc/session.h"

namespace foliofs::rpc {

namespace asio = boost::asio;
using Bytes = std::vector<std::byte>;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Time that passes only when the test says so, so that a loaded machine does not change outcomes.
class VirtualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  std::int64_t wall_ns() const override { return 0; }
  Task<void> sleep(Duration duration) override {
    const TimePoint end = now_ + duration;
    while (now_ < end) co_await passed_.wait();
  }
  void skip(Duration duration) {
    now_ += duration;
    passed_.wake_all();
  }

 private:
  TimePoint now_{};
  WaitQueue passed_;
};

struct Frame {
  proto::FrameHeader header;
  Bytes meta, payload;

  // The name that the tests put into a readlink request as its handle.
  std::string name() const {
    auto request = proto::decode<wire::ReadlinkRequest>(meta);
    if (!request) return "?";
    return {request.value().handle.begin(), request.value().handle.end()};
  }
};

inline Bytes frame_bytes(const proto::FrameHeader& header, const Bytes& meta,
                         const Bytes& payload) {
  proto::FrameHeader complete = header;
  complete.meta_bytes = static_cast<std::uint32_t>(meta.size());
  complete.payload_bytes = static_cast<std::uint32_t>(payload.size());
  const auto head = proto::encode_header(complete);
  Bytes bytes(head.begin(), head.end());
  bytes.insert(bytes.end(), meta.begin(), meta.end());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

template <class Native>
Bytes reply_bytes(const Frame& request, const Native& reply, const Bytes& payload = {},
                  std::uint16_t flags = proto::kFlagReply) {
  proto::FrameHeader header = request.header;
  header.flags = flags;
  const proto::MetaBuffer meta = proto::encode(reply);
  const auto bytes = std::as_bytes(std::span(meta.data(), meta.size()));
  return frame_bytes(header, {bytes.begin(), bytes.end()}, payload);
}

inline Bytes error_bytes(const Frame& request, int errno_value, const std::string& text = "") {
  wire::ErrorReplyT error;
  error.errno_value = errno_value;
  error.text = text;
  return reply_bytes(request, error, {}, proto::kFlagReply | proto::kFlagError);
}

// The answer to readlink: the name in the request, so that the test notices mixed-up replies.
inline Bytes echo_bytes(const Frame& request) {
  wire::ReadlinkReplyT reply;
  const std::string name = request.name();
  reply.target.assign(name.begin(), name.end());
  return reply_bytes(request, reply);
}

inline wire::HelloReplyT hello_reply(std::uint32_t slots = 8) {
  wire::HelloReplyT reply;
  reply.version = proto::kVersion;
  reply.session.assign(16, 0x5a);
  reply.slots = slots;
  reply.max_payload = 1u << 20;
  reply.root = {1, 2, 3};
  reply.root_attributes = std::make_unique<wire::Attributes>();
  reply.grace_us = 600'000'000;
  return reply;
}

inline wire::HelloReplyT resumed_reply(std::vector<std::uint32_t> sequences) {
  auto reply = hello_reply(static_cast<std::uint32_t>(sequences.size()));
  reply.resumed = true;
  reply.slot_sequences = std::move(sequences);
  return reply;
}

// The server's end of one connection.
class Peer {
 public:
  explicit Peer(asio::ip::tcp::socket connected) : socket(std::move(connected)) {}

  // The next request that is not a ping; pings are answered. Fails the test when the connection has
  // ended; see `expect_end()` for that.
  Task<Frame> receive() {
    Frame frame;
    for (;;) {
      const bool got = co_await try_receive(frame);
      EXPECT_TRUE(got) << "the client has closed the connection";
      if (!got || frame.header.type != proto::MessageType::kPing) co_return frame;
      Bytes answer = reply_bytes(frame, wire::EmptyT());
      co_await send(std::move(answer));
    }
  }
  Task<Frame> receive_ping() {
    Frame frame;
    const bool got = co_await try_receive(frame);
    EXPECT_TRUE(got) << "the client has closed the connection";
    EXPECT_EQ(frame.header.type, proto::MessageType::kPing);
    co_return frame;
  }
  Task<bool> try_receive(Frame& frame) {
    proto::HeaderBytes head;
    bool got = co_await read(head.data(), head.size());
    if (!got) co_return false;
    auto header = proto::decode_header(head);
    EXPECT_TRUE(header) << "garbage from the client";
    if (!header) co_return false;
    frame.header = header.value();
    frame.meta.resize(frame.header.meta_bytes);
    frame.payload.resize(frame.header.payload_bytes);
    got = co_await read(frame.meta.data(), frame.meta.size());
    if (got) got = co_await read(frame.payload.data(), frame.payload.size());
    co_return got;
  }
  // Waits for the end of the connection. Answers BYE, but not pings, as a half-open connection.
  Task<void> expect_end() {
    Frame frame;
    for (;;) {
      const bool got = co_await try_receive(frame);
      if (!got) co_return;
      if (frame.header.type == proto::MessageType::kBye) {
        Bytes answer = reply_bytes(frame, wire::EmptyT());
        co_await send(std::move(answer));
      }
      const auto type = frame.header.type;
      EXPECT_TRUE(type == proto::MessageType::kPing || type == proto::MessageType::kBye)
          << "unexpected " << proto::message_name(type);
    }
  }

  // False when the client has closed the connection.
  Task<bool> send(Bytes bytes) {
    boost::system::error_code error;
    co_await asio::async_write(socket, asio::buffer(bytes),
                               asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }
  void close() {
    boost::system::error_code ignored;
    socket.close(ignored);
  }

  asio::ip::tcp::socket socket;
  wire::HelloRequestT hello;  // what the client said

 private:
  Task<bool> read(void* into, std::size_t bytes) {
    boost::system::error_code error;
    co_await asio::async_read(socket, asio::buffer(into, bytes),
                              asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }
};

using PeerRef = std::shared_ptr<Peer>;

class RpcTest : public testing::Test {
 protected:
  RpcTest()
      : acceptor_(io_, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
        connector_(make_tcp_connector("127.0.0.1", acceptor_.local_endpoint().port())) {
    options_.export_name = "share";
    options_.client_name = "test";
    options_.slots = 8;
  }

  Session& session() {
    if (!session_) {
      session_ = std::make_unique<Session>(io_.get_executor(), clock_, *connector_, options_);
    }
    return *session_;
  }

  // Accepts a connection and receives its Hello, without answering it.
  Task<PeerRef> accept_hello() {
    auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
    auto peer = std::make_shared<Peer>(std::move(socket));
    hello_frame_ = co_await peer->receive();
    EXPECT_EQ(hello_frame_.header.type, proto::MessageType::kHello);
    auto hello = proto::decode<wire::HelloRequest>(hello_frame_.meta);
    EXPECT_TRUE(hello);
    if (hello) peer->hello = std::move(hello.value());
    co_return peer;
  }
  Task<PeerRef> accept(wire::HelloReplyT reply) {
    auto peer = co_await accept_hello();
    Bytes answer = reply_bytes(hello_frame_, reply);
    co_await peer->send(std::move(answer));
    co_return peer;
  }

  // One readlink, whose answer must be the same name. Returns its errno, or 0.
  Task<int> echo(std::string name, std::uint64_t incarnation = 0) {
    wire::ReadlinkRequestT request;
    request.handle.assign(name.begin(), name.end());
    auto reply = co_await session().call<wire::ReadlinkRequest>(request, incarnation);
    if (!reply) co_return reply.error().value();
    EXPECT_EQ(std::string(reply.value().target.begin(), reply.value().target.end()), name);
    co_return 0;
  }
  // The same in the background; `result` is -1 until it is done.
  void start_echo(std::string name, int& result, std::uint64_t incarnation = 0) {
    result = -1;
    spawn(io_.get_executor(), "test call", store(echo(std::move(name), incarnation), result));
  }
  Task<void> store(Task<int> task, int& result) {
    result = co_await std::move(task);
    done_.wake_all();
  }
  Task<void> until_done(const int& result) {
    while (result == -1) co_await done_.wait();
  }
  Task<void> start() {
    auto started = co_await session().start();
    EXPECT_TRUE(started) << errno_name(started.error());
  }
  Task<void> pause(std::chrono::microseconds real) {
    asio::steady_timer timer(io_, real);
    co_await timer.async_wait(asio::use_awaitable);
  }

  // Lets virtual time pass, `pace_` for each real millisecond.
  Task<void> flow() {
    while (flowing_) {
      co_await pause(milliseconds(1));
      clock_.skip(pace_);
    }
  }

  // Runs both coroutines at once, until both have ended.
  void run(Task<void> client, Task<void> server) {
    int left = 2;
    if (!std::exchange(flowing_, true)) spawn(io_.get_executor(), "flow of time", flow());
    auto ended = [&](std::exception_ptr escaped) {
      EXPECT_FALSE(escaped);
      if (--left == 0) io_.stop();
    };
    asio::co_spawn(io_, std::move(client), ended);
    asio::co_spawn(io_, std::move(server), ended);
    io_.run_for(seconds(50));
    ASSERT_EQ(left, 0) << "something hangs";
  }

  asio::io_context io_;
  VirtualClock clock_;
  Duration pace_ = milliseconds(1);
  bool flowing_ = false;
  asio::ip::tcp::acceptor acceptor_;
  std::unique_ptr<Connector> connector_;
  SessionOptions options_;
  WaitQueue done_;
  Frame hello_frame_;
  std::unique_ptr<Session> session_;
};

inline Bytes pattern(std::size_t count, unsigned seed = 1) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>((i * 131 + seed) >> 3);
  return bytes;
}

}  // namespace foliofs::rpc
