// Many calls to a server that keeps slots as the protocol requires, over connections that are cut
// at random places, in both directions. Every call is executed once and answered once.
#include <map>
#include <random>

#include "tests/component/rpc/fixture.h"

namespace foliofs::rpc {
namespace {

class RpcExactlyOnce : public RpcTest, public testing::WithParamInterface<unsigned> {
 protected:
  static constexpr std::uint32_t kSlots = 8;

  struct Slot {
    std::uint32_t sequence = 0;
    Bytes reply;
  };

  // Executes a new request, and answers a retry with the reply that it has kept.
  void take(const Frame& frame) {
    Slot& slot = slots_[frame.header.slot];
    if (frame.header.sequence == slot.sequence) return;
    EXPECT_EQ(frame.header.sequence, slot.sequence + 1) << "out of sequence";
    slot.sequence = frame.header.sequence;
    if (frame.header.type == proto::MessageType::kReadlink) {
      ++executed_[frame.name()];
      slot.reply = echo_bytes(frame);
    } else {
      slot.reply = reply_bytes(frame, wire::EmptyT());  // a ping or the goodbye
    }
  }

  // Serves one connection: takes a few requests, answers in random order, and ends in the middle of
  // a reply or with requests unread.
  Task<void> serve(PeerRef peer) {
    const auto budget = random_() % 30;
    std::vector<std::uint32_t> owed;
    for (unsigned step = 0; step < budget; ++step) {
      Frame frame;
      const bool got = co_await peer->try_receive(frame);
      if (!got) co_return;
      take(frame);
      owed.push_back(frame.header.slot);
      while (!owed.empty() && (random_() % 3 == 0 || owed.size() >= kSlots - 1)) {
        std::swap(owed[random_() % owed.size()], owed.back());
        Bytes reply = slots_[owed.back()].reply;
        owed.pop_back();
        if (random_() % 12 == 0) {
          reply.resize(random_() % reply.size());
          co_await peer->send(std::move(reply));
          peer->close();
          co_return;
        }
        co_await peer->send(std::move(reply));
      }
      if (peer->socket.available() == 0 && !owed.empty()) {
        co_await peer->send(slots_[owed.back()].reply);
        owed.pop_back();
      }
    }
    peer->close();
  }

  std::vector<std::uint32_t> sequences() const {
    std::vector<std::uint32_t> all;
    for (const Slot& slot : slots_) all.push_back(slot.sequence);
    return all;
  }

  std::mt19937 random_{GetParam()};
  std::vector<Slot> slots_{kSlots};
  std::map<std::string, int> executed_;
};

TEST_P(RpcExactlyOnce, UnderCuts) {
  constexpr int kCalls = 200, kCallers = 12;
  pace_ = milliseconds(250);  // for the backoff
  options_.hard = true;
  int next = 0, left = kCallers;
  bool over = false;
  std::map<std::string, int> answered;
  auto caller = [&]() -> Task<void> {
    while (next < kCalls) {
      const std::string name = "call " + std::to_string(next++);
      const int got = co_await echo(name);
      EXPECT_EQ(got, 0);
      ++answered[name];
    }
    --left;
    done_.wake_all();
  };
  auto client = [&]() -> Task<void> {
    co_await start();
    for (int i = 0; i < kCallers; ++i) spawn(io_.get_executor(), "caller", caller());
    while (left > 0) co_await done_.wait();
    EXPECT_EQ(session().incarnation(), 1u);
    EXPECT_GT(session().stats().replays, 0u);
    over = true;
    co_await session().close();
    acceptor_.cancel();
  };
  auto server = [&]() -> Task<void> {
    auto peer = co_await accept(hello_reply(kSlots));
    while (!over) {
      co_await serve(peer);
      peer->close();
      if (over) break;
      boost::system::error_code ended;
      auto socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, ended));
      if (ended) break;
      peer = std::make_shared<Peer>(std::move(socket));
      Frame hello;
      const bool got = co_await peer->try_receive(hello);
      if (!got) continue;
      co_await peer->send(reply_bytes(hello, resumed_reply(sequences())));
    }
  };
  run(client(), server());
  EXPECT_EQ(executed_.size(), static_cast<std::size_t>(kCalls));
  EXPECT_EQ(answered, executed_);
  for (const auto& [name, times] : executed_) EXPECT_EQ(times, 1) << name;
}

INSTANTIATE_TEST_SUITE_P(Seeds, RpcExactlyOnce, testing::Range(1u, 9u));

}  // namespace
}  // namespace foliofs::rpc
