// A link over a transport that takes everything at once.
#include "src/rpc/link.h"

#include <gtest/gtest.h>

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
  calls.begin_session(kCalls + 1, 1);
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

}  // namespace
}  // namespace foliofs::rpc
