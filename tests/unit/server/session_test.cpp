// Slots, retries and opens, without a connection.
#include "server/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "server/pending_connections.h"
#include "server/session_table.h"

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
  FileId id() const override { return {}; }

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
  OpenBudget budget_;
  Session session_{SessionId{}, 1, share_, false, false, 4, budget_};
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
  ASSERT_EQ(admit(request(0, 1), first_), Admission::kExecute);
  EXPECT_FALSE(session_.expire(now + 1h, 10s));
  session_.detach(first_.get(), now);
  EXPECT_FALSE(session_.expire(now + 9s, 10s));
  EXPECT_TRUE(session_.expire(now + 10s, 10s));
  EXPECT_FALSE(session_.attach(second_)) << "too late";
}

TEST_F(SessionTest, OneThatWasNeverUsedExpiresSoon) {
  using namespace std::chrono_literals;
  const SteadyTime now{100s};
  session_.detach(first_.get(), now);
  EXPECT_FALSE(session_.expire(now + 1s, 90s));
  EXPECT_TRUE(session_.expire(now + 10s, 90s));
}

TEST_F(SessionTest, OpensAreBounded) {
  budget_.per_session = 2;
  budget_.total = 3;
  bool closed = false;
  auto first = session_.reserve_open();
  const auto id = session_.add_open(std::move(first.value()), std::make_shared<NoFile>(closed), {});
  {
    auto second = session_.reserve_open();
    EXPECT_TRUE(second);
    EXPECT_EQ(session_.reserve_open().error(), Errno(EMFILE));
  }
  EXPECT_TRUE(session_.reserve_open()) << "what was not used is given back";

  Session other{SessionId{}, 2, share_, false, false, 4, budget_};
  auto third = other.reserve_open();
  auto fourth = other.reserve_open();
  EXPECT_TRUE(third && fourth);
  EXPECT_EQ(session_.reserve_open().error(), Errno(ENFILE)) << "all together";
  EXPECT_TRUE(session_.take_open(id));
  EXPECT_TRUE(session_.reserve_open());
  session_.add_open(session_.reserve_open().value(), std::make_shared<NoFile>(closed), {});
  EXPECT_EQ(budget_.used, 3u);
  session_.end();
  EXPECT_EQ(budget_.used, 2u);
}

TEST_F(SessionTest, OpensEndWithTheSession) {
  bool closed = false;
  const auto id = session_.add_open(session_.reserve_open().value(),
                                    std::make_shared<NoFile>(closed), Identity{5, 6, {}});
  EXPECT_NE(id, 0u);
  EXPECT_EQ(session_.find_open(id).value().opener.uid, 5u);
  EXPECT_EQ(session_.find_open(id + 1).error(), Errno(EBADF));
  EXPECT_FALSE(closed);
  session_.end();
  EXPECT_TRUE(closed);
  closed = false;
  session_.add_open(session_.reserve_open().value(), std::make_shared<NoFile>(closed), {});
  EXPECT_TRUE(closed) << "an ended session holds nothing";
}

// The end of the last CLOSE must not undo what a new OPEN of the same file has set up.
TEST_F(SessionTest, NothingIsOpenedWhileTheLastCloseIsDoneWith) {
  bool closed = false;
  std::atomic<bool> opened = false;
  std::thread opener;
  int runs = 0;
  session_.unless_open({}, [&] {
    ++runs;
    opener = std::thread([&] {
      session_.add_open(session_.reserve_open().value(), std::make_shared<NoFile>(closed), {});
      opened = true;
    });
    for (int i = 0; i < 50 && !opened; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_FALSE(opened.load());
  });
  opener.join();
  EXPECT_TRUE(opened.load());
  session_.unless_open({}, [&] { ++runs; });
  EXPECT_EQ(runs, 1) << "it is open";
  session_.end();
}

TEST_F(SessionTest, OthersNeedNotWaitUntilItsOpensAreClosed) {
  bool closed = false;
  session_.add_open(session_.reserve_open().value(), std::make_shared<NoFile>(closed), {});
  LockRequest wanted;
  wanted.owner = {session_.number(), 1};
  wanted.range.type = LockType::kWrite;
  LockRequest others = wanted;
  others.owner.session = session_.number() + 1;
  ASSERT_TRUE(share_.locks->lock(wanted, 0, false, {}).value());
  ASSERT_TRUE(share_.locks->test(others));
  session_.release_locks_and_leases();
  EXPECT_FALSE(share_.locks->test(others));
  EXPECT_TRUE(session_.has_ended());
  EXPECT_FALSE(session_.attach(second_));
  EXPECT_EQ(admit(request(0, 1), first_), Admission::kFenced);
  EXPECT_FALSE(closed);
  session_.end();
  EXPECT_TRUE(closed);
}

// The server asks only sessions that may keep idle opens; the others have nothing to close.
TEST(SessionTableTest, OpensAreAskedBackWhenThereIsLittleRoom) {
  Export sole;
  sole.options.sole = true;
  Export ordinary;
  SessionTable table;
  table.open_budget().total = 32;
  table.open_budget().per_session = 16;
  auto keeps = table.begin(sole, false, false, 1).value();
  auto keeps_none = table.begin(ordinary, false, false, 1).value();
  auto told = std::make_shared<Recorder>(), untold = std::make_shared<Recorder>();
  ASSERT_TRUE(keeps->attach(told) && keeps_none->attach(untold));
  EXPECT_EQ(keeps->max_idle_opens(), 2u);
  EXPECT_EQ(keeps_none->max_idle_opens(), 0u);

  std::vector<OpenReservation> taken;
  for (int i = 0; i < 14; ++i) taken.push_back(std::move(keeps_none->reserve_open().value()));
  for (int i = 0; i < 9; ++i) taken.push_back(std::move(keeps->reserve_open().value()));
  table.keep_room_for_opens();
  EXPECT_TRUE(told->delivered.empty());
  taken.push_back(std::move(keeps->reserve_open().value()));
  table.keep_room_for_opens();
  ASSERT_EQ(told->delivered.size(), 1u);
  EXPECT_EQ(told->delivered[0].header.type, proto::MessageType::kOpensWanted);
  EXPECT_TRUE(told->delivered[0].header.is_notice());
  EXPECT_TRUE(untold->delivered.empty());
}

TEST(SessionTableTest, FindsByIdOnly) {
  Export share;
  SessionTable table;
  auto one = table.begin(share, false, false, 1);
  auto two = table.begin(share, false, false, 1);
  ASSERT_TRUE(one && two);
  EXPECT_NE(one.value()->id(), two.value()->id());
  EXPECT_NE(one.value()->number(), two.value()->number());
  EXPECT_EQ(table.find(one.value()->id()), one.value());
  EXPECT_EQ(table.find(std::span(one.value()->id()).first(15)), nullptr);
  EXPECT_EQ(table.find(SessionId{}), nullptr);
  table.remove(one.value()->id());
  EXPECT_EQ(table.find(one.value()->id()), nullptr);
}

TEST(SessionTableTest, AFullOneGivesUpTheLongestLostThatHoldsNothing) {
  using namespace std::chrono_literals;
  Export share;
  SessionTable table(3);
  const SteadyTime now{100s};
  std::vector<std::shared_ptr<Session>> sessions;
  for (int i = 0; i < 3; ++i) {
    sessions.push_back(table.begin(share, false, false, 1).value());
    auto sink = std::make_shared<Recorder>();
    ASSERT_TRUE(sessions.back()->attach(sink));
    if (i < 2) sessions.back()->detach(sink.get(), now + std::chrono::seconds(i));
  }
  // The first session has been without a connection for longest, but has a file open; the last one
  // has its connection.
  bool closed = false;
  sessions[0]->add_open(sessions[0]->reserve_open().value(), std::make_shared<NoFile>(closed), {});
  auto fourth = table.begin(share, false, false, 1);
  ASSERT_TRUE(fourth);
  EXPECT_EQ(table.find(sessions[1]->id()), nullptr);
  EXPECT_FALSE(sessions[1]->attach(std::make_shared<Recorder>()));
  EXPECT_EQ(table.find(sessions[0]->id()), sessions[0]);
  EXPECT_EQ(table.find(sessions[2]->id()), sessions[2]);
  auto sink = std::make_shared<Recorder>();
  ASSERT_TRUE(fourth.value()->attach(sink));
  EXPECT_EQ(table.begin(share, false, false, 1).error(), Errno(EBUSY));
}

TEST(PendingConnectionsTest, WhoHasWaitedLongestGoes) {
  PendingConnections pending(2);
  const auto first = std::make_shared<Recorder>();
  const auto second = std::make_shared<Recorder>();
  const auto third = std::make_shared<Recorder>();
  const auto fourth = std::make_shared<Recorder>();
  pending.add(first);
  const auto ticket = pending.add(second);
  pending.add(third);
  EXPECT_EQ(first->fenced, 1);
  pending.remove(ticket);
  pending.add(fourth);
  EXPECT_EQ(second->fenced + third->fenced + fourth->fenced, 0);
}

TEST(BufferPoolTest, ResultsThatAreSmallDoNotHoldLargeBuffers) {
  BufferPool pool;
  Buffer buffer = pool.take(kMaxPayloadBytes);
  EXPECT_EQ(buffer.capacity(), kMaxPayloadBytes);
  buffer.bytes()[0] = std::byte{7};
  buffer.shrink(130);
  EXPECT_EQ(buffer.capacity(), kMaxPayloadBytes);
  buffer = pool.fit(std::move(buffer));
  EXPECT_EQ(buffer.size(), 130u);
  EXPECT_EQ(buffer.capacity(), 130u);
  EXPECT_EQ(buffer.bytes()[0], std::byte{7});
  EXPECT_EQ(pool.take(70'000).capacity(), 128u * 1024);
  EXPECT_EQ(pool.take(100).capacity(), 100u);
  buffer = pool.take(200'000);
  const auto* bytes = buffer.bytes().data();
  buffer.shrink(150'000);
  buffer = pool.fit(std::move(buffer));
  EXPECT_EQ(buffer.bytes().data(), bytes) << "not copied for a little";
}

}  // namespace
}  // namespace foliofs::server
