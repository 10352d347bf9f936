// A link over a transport that accepts all bytes at once.
#include "src/rpc/link.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <deque>

#include "tests/support/loop.h"

namespace foliofs::rpc {
namespace {

constexpr std::size_t kCallBytes = 1 << 20;
constexpr std::uint32_t kCalls = 8;

class Swallower final : public Transport {
 public:
  explicit Swallower(std::size_t& bytes) : bytes_(bytes) {}
  Task<Result<std::size_t>> read_some(std::span<const iovec>) override {
    co_return Errno(ECONNRESET);
  }
  Task<Status> write_all(std::span<const iovec> from) override {
    for (const iovec& part : from) bytes_ += part.iov_len;
    co_return success();
  }
  void close() override {}

 private:
  std::size_t& bytes_;
};

TEST(Link, ASenderThatCanAlwaysSendLetsOthersRun) {
  test::Loop loop;
  RpcStats stats;
  CallTable calls(loop.clock, stats);
  std::size_t sent_bytes = 0;
  Link link(std::make_unique<Swallower>(sent_bytes), loop.clock, calls);

  const std::vector<std::byte> data(kCallBytes);
  const iovec part{const_cast<std::byte*>(data.data()), data.size()};
  calls.begin_session(kCalls + 2, 1);
  std::deque<Call> all;
  for (std::uint32_t i = 0; i < kCalls; ++i) {
    const Payload payload{std::span(&part, 1), {}};
    calls.submit(all.emplace_back(proto::MessageType::kWrite, proto::MetaBuffer(), payload, 0));
  }

  std::size_t sent_when_others_ran = 0;
  spawn(loop.executor(), "sender", link.send());
  boost::asio::post(loop.context, [&] { sent_when_others_ran = sent_bytes; });
  loop.settle();
  EXPECT_LE(sent_when_others_ran, 2 * kCallBytes);
  EXPECT_GE(sent_bytes, kCalls * kCallBytes);

  link.break_off(Errno(ENOTCONN));
  calls.drop_all(Errno(ENOTCONN));
  loop.settle();
}

// Returns these bytes, then ECONNRESET.
class Speaker final : public Transport {
 public:
  explicit Speaker(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  Task<Result<std::size_t>> read_some(std::span<const iovec> into) override {
    if (bytes_.empty()) co_return Errno(ECONNRESET);
    const std::size_t count = std::min(into[0].iov_len, bytes_.size());
    std::copy_n(bytes_.begin(), count, static_cast<std::byte*>(into[0].iov_base));
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(count));
    co_return count;
  }
  Task<Status> write_all(std::span<const iovec>) override { co_return success(); }
  void close() override {}

 private:
  std::vector<std::byte> bytes_;
};

class Notices : public ::testing::Test {
 protected:
  static std::vector<std::byte> notice(std::uint64_t waiter) {
    wire::LockGrantedT granted;
    granted.waiter = waiter;
    const auto meta = proto::encode(granted);
    return frame({}, std::as_bytes(std::span(meta.data(), meta.size())));
  }
  static std::vector<std::byte> frame(proto::FrameHeader header, std::span<const std::byte> meta) {
    if (header.type == proto::MessageType{}) header.type = proto::MessageType::kLockGranted;
    header.flags = proto::kFlagNotice;
    header.meta_bytes = static_cast<std::uint32_t>(meta.size());
    const auto head = proto::encode_header(header);
    std::vector<std::byte> bytes(head.begin(), head.end());
    bytes.insert(bytes.end(), meta.begin(), meta.end());
    return bytes;
  }
  // Receives these bytes and returns the error with which the link ended.
  Errno receive(std::vector<std::byte> bytes) {
    test::Loop loop;
    RpcStats stats;
    CallTable calls(loop.clock, stats);
    rpc::Notices hears;
    hears.lock_granted = [this](std::uint64_t waiter) {
      heard.push_back(waiter);
    };
    hears.leases_recalled = [this](wire::LeasesRecalledT said) {
      heard.push_back(said.recall);
    };
    hears.opens_wanted = [this] {
      heard.push_back(kOpensWanted);
    };
    Link link(std::make_unique<Speaker>(std::move(bytes)), loop.clock, calls, std::move(hears));
    loop.run(link.receive());
    return link.reason();
  }
  static constexpr std::uint64_t kOpensWanted = ~0ull;
  std::vector<std::uint64_t> heard;
};

TEST_F(Notices, AreHeardInTheirOrder) {
  auto bytes = notice(7);
  const auto second = notice(8);
  bytes.insert(bytes.end(), second.begin(), second.end());
  EXPECT_EQ(receive(bytes), Errno(ECONNRESET));
  EXPECT_EQ(heard, (std::vector<std::uint64_t>{7, 8}));
}

TEST_F(Notices, OneThatSaysNothingMore) {
  proto::FrameHeader header;
  header.type = proto::MessageType::kOpensWanted;
  const auto meta = proto::encode(wire::OpensWantedT());
  EXPECT_EQ(receive(frame(header, std::as_bytes(std::span(meta.data(), meta.size())))),
            Errno(ECONNRESET));
  EXPECT_EQ(heard, std::vector{kOpensWanted});
  EXPECT_EQ(receive(frame(header, {})), Errno(EPROTO));
}

TEST_F(Notices, GarbageEndsTheLink) {
  const std::vector<std::byte> garbage(24, std::byte{0xff});
  EXPECT_EQ(receive(frame({}, garbage)), Errno(EPROTO));
  EXPECT_EQ(receive(frame({}, {})), Errno(EPROTO));
  EXPECT_EQ(receive(frame({}, std::vector<std::byte>(4096))), Errno(EPROTO));
  proto::FrameHeader header;
  header.type = proto::MessageType::kRead;
  EXPECT_EQ(receive(frame(header, {})), Errno(EPROTO));
  header = {};
  header.request_id = 1;
  EXPECT_EQ(receive(frame(header, {})), Errno(EPROTO));
  EXPECT_TRUE(heard.empty());
}

}  // namespace
}  // namespace foliofs::rpc
