// Slots, retries and opens, without a connection.
#include <gtest/gtest.h>

#include "server/loop.h"
#include "server/session.h"

namespace foliofs::server {
namespace {

class Recorder final : public ReplySink {
 public:
  void deliver(Outgoing frame) override { delivered.push_back(std::move(frame)); }
  void fence() override { ++fenced; }
  std::vector<Outgoing> delivered;
  int fenced = 0;
};

class NoFile final : public OpenFile {
 public:
  explicit NoFile(bool& closed) : closed_(closed) {}
  ~NoFile() override { closed_ = true; }

 private:
  bool& closed_;
};

proto::FrameHeader request(std::uint32_t slot, std::uint32_t sequence,
                           proto::MessageType type = proto::MessageType::kUnlink) {
  proto::FrameHeader header;
  header.type = type;
  header.slot = slot;
  header.sequence = sequence;
  header.request_id = 100 + sequence;
  return header;
}

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() { EXPECT_TRUE(session_.attach(first_)); }

  Admission admit(const proto::FrameHeader& header, const std::shared_ptr<Recorder>& sink,
                  bool idempotent = false) {
    return session_.admit(header, sink, idempotent).admission;
  }
  void complete(const proto::FrameHeader& header, bool idempotent = false) {
    Outgoing frame = make_frame(header, make_error(Errno(ENOENT)));
    frame.charge = 10;
    session_.complete(std::move(frame), idempotent);
  }

  Export share_;
  Session session_{SessionId{}, 1, share_, false, 4};
  std::shared_ptr<Recorder> first_ = std::make_shared<Recorder>();
  std::shared_ptr<Recorder> second_ = std::make_shared<Recorder>();
};

TEST_F(SessionTest, SequencesBeginAtOneAndGoUpByOne) {
  EXPECT_EQ(admit(request(0, 0), first_), Admission::kOutOfOrder);
  EXPECT_EQ(admit(request(0, 2), first_), Admission::kOutOfOrder);
  EXPECT_EQ(admit(request(0, 1), first_), Admission::kExecute);
  EXPECT_EQ(admit(request(0, 2), first_), Admission::kOutOfOrder) << "the slot is busy";
  complete(request(0, 1));
  EXPECT_EQ(admit(request(0, 2), first_), Admission::kExecute);
  EXPECT_EQ(admit(request(4, 1), first_), Admission::kOutOfOrder) << "no such slot";
  EXPECT_EQ(session_.sequences(), (std::vector<std::uint32_t>{2, 0, 0, 0}));
}

TEST_F(SessionTest, ARetryGetsTheKeptReply) {
  ASSERT_EQ(admit(request(1, 1), first_), Admission::kExecute);
  complete(request(1, 1));
  ASSERT_EQ(first_->delivered.size(), 1u);
  ASSERT_TRUE(session_.attach(second_));
  Admitted retry = session_.admit(request(1, 1), second_, false);
  ASSERT_EQ(retry.admission, Admission::kReplay);
  EXPECT_EQ(retry.reply.meta, first_->delivered[0].meta);
  EXPECT_TRUE(retry.reply.header.is_error());
  EXPECT_EQ(admit(request(1, 1, proto::MessageType::kMkdir), second_), Admission::kOutOfOrder)
      << "a retry is of the same type";
}

TEST_F(SessionTest, ARetryWhileItExecutesGetsTheOneReply) {
  ASSERT_EQ(admit(request(1, 1), first_), Admission::kExecute);
  EXPECT_EQ(admit(request(1, 1), first_), Admission::kOutOfOrder) << "over the same connection";
  ASSERT_TRUE(session_.attach(second_));
  EXPECT_EQ(first_->fenced, 1);
  auto retry = request(1, 1);
  retry.request_id = 999;
  EXPECT_EQ(admit(retry, second_), Admission::kWait);
  complete(request(1, 1));
  EXPECT_TRUE(first_->delivered.empty());
  ASSERT_EQ(second_->delivered.size(), 1u);
  EXPECT_EQ(second_->delivered[0].header.request_id, 999u);
  EXPECT_EQ(second_->delivered[0].charge, 0u) << "it was charged to the other connection";
}

TEST_F(SessionTest, WithoutARetryTheReplyOfAFencedConnectionWaits) {
  ASSERT_EQ(admit(request(1, 1), first_), Admission::kExecute);
  ASSERT_TRUE(session_.attach(second_));
  complete(request(1, 1));
  EXPECT_TRUE(first_->delivered.empty());
  EXPECT_TRUE(second_->delivered.empty());
  EXPECT_EQ(admit(request(1, 1), second_), Admission::kReplay);
}

TEST_F(SessionTest, IdempotentRequestsExecuteAgain) {
  ASSERT_EQ(admit(request(1, 1), first_, true), Admission::kExecute);
  complete(request(1, 1), true);
  ASSERT_TRUE(session_.attach(second_));
  EXPECT_EQ(admit(request(1, 1), second_, true), Admission::kExecute);
  EXPECT_EQ(admit(request(1, 2), second_, true), Admission::kOutOfOrder) << "busy again";
}

TEST_F(SessionTest, AFencedConnectionIsNotServed) {
  ASSERT_TRUE(session_.attach(second_));
  EXPECT_EQ(admit(request(0, 1), first_), Admission::kFenced);
  session_.detach(first_.get(), {});
  EXPECT_EQ(admit(request(0, 1), second_), Admission::kExecute) << "the old one's end is no matter";
}

TEST_F(SessionTest, ItExpiresOnlyWithoutAConnection) {
  using namespace std::chrono_literals;
  const SteadyTime now{100s};
  EXPECT_FALSE(session_.expire(now + 1h, 10s));
  session_.detach(first_.get(), now);
  EXPECT_FALSE(session_.expire(now + 9s, 10s));
  EXPECT_TRUE(session_.expire(now + 10s, 10s));
  EXPECT_FALSE(session_.attach(second_)) << "too late";
}

TEST_F(SessionTest, OpensEndWithTheSession) {
  bool closed = false;
  const auto id = session_.add_open(std::make_shared<NoFile>(closed), Identity{5, 6, {}});
  EXPECT_NE(id, 0u);
  EXPECT_EQ(session_.find_open(id).value().opener.uid, 5u);
  EXPECT_EQ(session_.find_open(id + 1).error(), Errno(EBADF));
  EXPECT_FALSE(closed);
  session_.end();
  EXPECT_TRUE(closed);
  closed = false;
  session_.add_open(std::make_shared<NoFile>(closed), {});
  EXPECT_TRUE(closed) << "an ended session holds nothing";
}

TEST(SessionTableTest, FindsByIdOnly) {
  Export share;
  SessionTable table;
  auto one = table.begin(share, false, 1);
  auto two = table.begin(share, false, 1);
  ASSERT_TRUE(one && two);
  EXPECT_NE(one.value()->id(), two.value()->id());
  EXPECT_NE(one.value()->number(), two.value()->number());
  EXPECT_EQ(table.find(one.value()->id()), one.value());
  EXPECT_EQ(table.find(std::span(one.value()->id()).first(15)), nullptr);
  EXPECT_EQ(table.find(SessionId{}), nullptr);
  table.remove(one.value()->id());
  EXPECT_EQ(table.find(one.value()->id()), nullptr);
}

TEST(PollWindowTest, ShrinksWhileItDoesNotPayAndGrowsWhenItWould) {
  using Micros = std::chrono::microseconds;
  PollWindow window(Micros(64));
  EXPECT_EQ(window.window(), Micros(64));
  for (int i = 0; i < 7; ++i) window.slept(Micros(1'000'000));
  EXPECT_EQ(window.window(), Micros(0)) << "an idle loop does not poll";
  window.slept(Micros(20));
  EXPECT_EQ(window.window(), Micros(1));
  window.slept(Micros(20));
  EXPECT_EQ(window.window(), Micros(2));
  window.paid();
  EXPECT_EQ(window.window(), Micros(64));
  PollWindow never(Micros(0));
  never.slept(Micros(0));
  EXPECT_EQ(never.window(), Micros(0));
}

}  // namespace
}  // namespace foliofs::server
