#include "src/rpc/call_table.h"

#include <gtest/gtest.h>

#include <deque>

namespace foliofs::rpc {
namespace {

using std::chrono::seconds;

class ManualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  std::int64_t wall_ns() const override { return 0; }
  Task<void> sleep(Duration) override { co_return; }
  TimePoint now_{};
};

class CallTableTest : public testing::Test {
 protected:
  Call& submit(std::uint64_t incarnation = 0, Urgency urgency = Urgency::kNow) {
    Call& call =
        all_.emplace_back(proto::MessageType::kMkdir, proto::MetaBuffer(), Payload{}, incarnation);
    call.urgency = urgency;
    calls_.submit(call);
    return call;
  }
  // Sends the next call, and unpins its memory.
  Call* send() {
    Call* call = calls_.next_to_send();
    if (call != nullptr) calls_.unpin(*call);
    return call;
  }
  std::vector<std::uint32_t> server_at(std::uint32_t slot, std::uint32_t sequence) {
    std::vector<std::uint32_t> sequences(8, 0);
    sequences[slot] = sequence;
    return sequences;
  }
  static bool failed_with(const Call& call, Errno error) {
    return call.state == CallState::kDone && !call.result && call.result.error() == error;
  }

  ManualClock clock_;
  RpcStats stats_;
  CallTable calls_{clock_, stats_};
  std::deque<Call> all_;
};

TEST_F(CallTableTest, WaitsForASlotInOrder) {
  calls_.begin_session(2, 1);  // one slot for calls, one reserved
  Call &first = submit(), &second = submit(), &third = submit();
  EXPECT_EQ(send(), &first);
  EXPECT_EQ(send(), nullptr);
  calls_.answered(first, RawReply{});
  EXPECT_EQ(send(), &second);
  EXPECT_EQ(second.slot, first.slot);
  EXPECT_EQ(second.sequence, 2u);
  EXPECT_EQ(third.state, CallState::kWaiting);
  EXPECT_EQ(stats_.in_flight, 2u);
  calls_.drop_all(Errno(ENOTCONN));
  EXPECT_TRUE(failed_with(second, Errno(ENOTCONN)));
  EXPECT_TRUE(failed_with(third, Errno(ENOTCONN)));
  EXPECT_EQ(stats_.in_flight, 0u);
  EXPECT_EQ(stats_.calls[proto::MessageType::kMkdir].count, 3u);
  EXPECT_EQ(stats_.calls[proto::MessageType::kMkdir].errors, 2u);
}

TEST_F(CallTableTest, WhatOthersWaitForHasASlotWhenAllAreTaken) {
  calls_.begin_session(kSlotsForOthers, 1);
  std::vector<Call*> calls;
  for (std::uint32_t i = 0; i + 2 < kSlotsForOthers; ++i) calls.push_back(&submit());
  Call& waits = submit();
  Call &first = submit(0, Urgency::kOthersWait), &second = submit(0, Urgency::kOthersWait),
       &third = submit(0, Urgency::kServerWaits);
  EXPECT_EQ(first.state, CallState::kQueued);
  EXPECT_EQ(second.state, CallState::kWaiting) << "pings and returns have one more";
  while (send() != nullptr) continue;
  calls_.answered(first, RawReply{});
  EXPECT_EQ(second.slot, first.slot);
  EXPECT_EQ(second.state, CallState::kQueued);
  calls_.answered(*calls.front(), RawReply{});
  EXPECT_EQ(third.state, CallState::kQueued) << "before what nobody waits for";
  EXPECT_EQ(waits.state, CallState::kWaiting);
  calls_.drop_all(Errno(ENOTCONN));
}

TEST_F(CallTableTest, ResumeSendsAgainInTheOrderOfTheRequests) {
  calls_.begin_session(8, 1);
  Call &a = submit(), &b = submit(), &c = submit();
  send();
  send();
  std::vector<std::uint32_t> server(8, 0);
  server[b.slot] = b.sequence;
  ASSERT_TRUE(calls_.can_resume(server));
  calls_.resume(server);
  EXPECT_FALSE(a.maybe_executed);
  EXPECT_TRUE(b.maybe_executed);
  EXPECT_EQ(send(), &a);
  EXPECT_EQ(send(), &b);
  EXPECT_EQ(send(), &c);
  EXPECT_EQ(stats_.replays, 2u);
  calls_.drop_all(Errno(ENOTCONN));
}

TEST_F(CallTableTest, ANewSessionKeepsWhatWasNeverSent) {
  calls_.begin_session(4, 1);
  Call& sent = submit();
  send();
  Call &queued = submit(), &bound = submit(1), &bound_to_next = submit(2);
  calls_.begin_session(4, 2);
  EXPECT_TRUE(failed_with(sent, kSessionLost));
  EXPECT_TRUE(failed_with(bound, kSessionLost));
  EXPECT_EQ(send(), &queued);
  EXPECT_EQ(queued.sequence, 1u);
  EXPECT_EQ(send(), &bound_to_next);
  calls_.drop_all(Errno(ENOTCONN));
}

TEST_F(CallTableTest, AResumeThatSaysItNeverArrivedMakesARequestUnsent) {
  calls_.begin_session(2, 1);
  Call& call = submit();
  send();
  calls_.resume(server_at(call.slot, 0));
  calls_.begin_session(2, 2);  // before the call was sent again
  EXPECT_EQ(send(), &call);
  calls_.answered(call, RawReply{});
}

TEST_F(CallTableTest, AReplayThatMayHaveExecutedIsLostWithTheSession) {
  calls_.begin_session(2, 1);
  Call& call = submit();
  send();
  calls_.resume(server_at(call.slot, call.sequence));
  calls_.begin_session(2, 2);
  EXPECT_TRUE(failed_with(call, kSessionLost));
}

TEST_F(CallTableTest, ACallThatWasNotSentGivesItsSequenceBack) {
  calls_.begin_session(2, 1);
  Call& late = submit();
  Call& later = submit();
  clock_.now_ += seconds(1);
  EXPECT_FALSE(calls_.expire(clock_.now_));
  EXPECT_TRUE(failed_with(late, Errno(ETIMEDOUT)));
  EXPECT_TRUE(failed_with(later, Errno(ETIMEDOUT)));
  Call& next = submit();
  EXPECT_EQ(next.sequence, 1u);
  EXPECT_EQ(send(), &next);
  calls_.answered(next, RawReply{});
}

TEST_F(CallTableTest, ACallerThatGivesUpLeavesTheSlotTakenUntilTheAnswer) {
  calls_.begin_session(2, 1);
  Call& late = submit();
  send();
  calls_.expire(clock_.now_);
  EXPECT_TRUE(failed_with(late, Errno(ETIMEDOUT)));
  EXPECT_EQ(stats_.in_flight, 0u);
  Call& next = submit();
  EXPECT_EQ(next.state, CallState::kWaiting);
  Call* orphan = nullptr;
  ASSERT_EQ(calls_.find(late.request_id, orphan), CallTable::Owner::kCall);
  EXPECT_NE(orphan, &late);
  calls_.answered(*orphan, Errno(EPROTO));
  EXPECT_EQ(stats_.calls[proto::MessageType::kMkdir].count, 1u) << "counted once";
  EXPECT_EQ(send(), &next);
  EXPECT_EQ(next.sequence, late.sequence + 1);
  calls_.answered(next, RawReply{});
}

TEST_F(CallTableTest, WhatIsDoneAfterItsCallerHasGoneIsTold) {
  std::vector<proto::MessageType> told;
  calls_.tell_late([&](proto::MessageType type, const Result<RawReply>& reply) {
    if (reply) told.push_back(type);
  });
  calls_.begin_session(3, 1);
  Call& late = submit();
  Call& failed = submit();
  send();
  send();
  calls_.expire(clock_.now_);
  Call* orphan = nullptr;
  ASSERT_EQ(calls_.find(failed.request_id, orphan), CallTable::Owner::kCall);
  calls_.answered(*orphan, Errno(EPERM));
  EXPECT_TRUE(told.empty());
  ASSERT_EQ(calls_.find(late.request_id, orphan), CallTable::Owner::kCall);
  calls_.answered(*orphan, RawReply{});
  EXPECT_EQ(told, std::vector{late.type});
  Call& timely = submit();
  send();
  calls_.answered(timely, RawReply{});
  EXPECT_EQ(told.size(), 1u);
}

TEST_F(CallTableTest, AnOrphanIsSentAgainOnlyIfTheServerHasIt) {
  for (const bool arrived : {false, true}) {
    calls_.begin_session(2, 1);
    Call& late = submit();
    send();
    calls_.expire(clock_.now_);
    calls_.resume(server_at(late.slot, arrived ? late.sequence : late.sequence - 1));
    Call* again = send();
    ASSERT_EQ(again != nullptr, arrived);
    if (again != nullptr) {
      EXPECT_EQ(again->slot, late.slot);
      EXPECT_EQ(again->sequence, late.sequence);
      EXPECT_EQ(again->request_id, late.request_id);
      calls_.answered(*again, RawReply{});
    }
    Call& next = submit();
    EXPECT_EQ(next.sequence, arrived ? late.sequence + 1 : late.sequence);
    EXPECT_EQ(send(), &next);
    calls_.answered(next, RawReply{});
  }
}

TEST_F(CallTableTest, AReplayGivenUpBeforeItIsSentGoesOnAsAnOrphanInItsPlace) {
  calls_.begin_session(4, 1);
  Call &a = submit(), &b = submit();
  send();
  send();
  std::vector<std::uint32_t> server(4, 0);
  server[a.slot] = a.sequence;
  server[b.slot] = b.sequence;
  calls_.resume(server);
  calls_.expire(clock_.now_);
  EXPECT_TRUE(failed_with(a, Errno(ETIMEDOUT)));
  Call *first = send(), *second = send();
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(first->request_id, a.request_id);
  EXPECT_EQ(second->request_id, b.request_id);
  calls_.begin_session(4, 2);
  EXPECT_EQ(send(), nullptr) << "orphans end with their session";
}

TEST_F(CallTableTest, SaysWhenACallThatGivesUpIsPinned) {
  calls_.begin_session(4, 1);
  Call& call = submit();
  ASSERT_EQ(calls_.next_to_send(), &call);
  EXPECT_TRUE(calls_.expire(clock_.now_));
  EXPECT_TRUE(failed_with(call, Errno(ETIMEDOUT)));
  calls_.unpin(call);
}

}  // namespace
}  // namespace foliofs::rpc
