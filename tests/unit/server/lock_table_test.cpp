// The server's table of locks: conflicts, waits and their order, deadlocks, limits, the end of
// sessions.
#include "server/lock_table.h"

#include <gtest/gtest.h>

namespace foliofs::server {
namespace {

constexpr LockType kRead = LockType::kRead, kWrite = LockType::kWrite;

class Listener final : public LockListener {
 public:
  void lock_granted(std::uint64_t waiter) override { granted.push_back(waiter); }
  std::vector<std::uint64_t> granted;
};

class LockTableTest : public ::testing::Test {
 protected:
  static LockRequest request(std::uint64_t session, LockType type, std::uint64_t start = 0,
                             std::uint64_t end = kLastLockByte, std::uint64_t file = 1) {
    LockRequest request;
    request.file = {1, file, 0};
    request.owner = {session, 7};
    request.range = {start, end, type};
    request.pid = static_cast<std::uint32_t>(1000 + session);
    return request;
  }
  static LockRequest whole(std::uint64_t session, LockType type) {
    LockRequest whole = request(session, type);
    whole.kind = LockKind::kWholeFile;
    return whole;
  }
  // 0 if granted, -1 if it waits, or an errno.
  int lock(const LockRequest& request, std::uint64_t waiter = 0, bool reclaim = false) {
    auto result = locks_.lock(request, waiter, reclaim, listener_);
    if (!result) return result.error().value();
    return result.value() ? 0 : -1;
  }
  bool is_free(const LockRequest& request) const { return !locks_.test(request); }
  using Waiters = std::vector<std::uint64_t>;

  LockTable locks_{LockLimits{4, 2, std::chrono::seconds(60)}};
  std::shared_ptr<Listener> listener_ = std::make_shared<Listener>();
};

TEST_F(LockTableTest, ReadersShareAndAWriterIsAlone) {
  EXPECT_EQ(lock(request(1, kRead)), 0);
  EXPECT_EQ(lock(request(2, kRead)), 0);
  EXPECT_EQ(lock(request(3, kWrite, 10, 10)), EAGAIN);
  EXPECT_EQ(lock(request(1, kWrite)), EAGAIN);
  locks_.unlock(request(2, kRead));
  EXPECT_EQ(lock(request(1, kWrite)), 0);
  EXPECT_EQ(lock(request(2, kRead, 5, 5)), EAGAIN);
  EXPECT_EQ(lock(request(2, kRead, 5, 5, /*file=*/2)), 0);
}

TEST_F(LockTableTest, OwnersOfOneSessionAreTwo) {
  LockRequest other = request(1, kWrite);
  other.owner.id = 8;
  EXPECT_EQ(lock(request(1, kWrite)), 0);
  EXPECT_EQ(lock(other), EAGAIN);
}

TEST_F(LockTableTest, TestTellsWhatIsInTheWay) {
  EXPECT_EQ(lock(request(1, kWrite, 10, 19)), 0);
  const auto held = locks_.test(request(2, kRead));
  ASSERT_TRUE(held);
  EXPECT_EQ(held->range, (LockRange{10, 19, kWrite}));
  EXPECT_EQ(held->pid, 1001u);
  EXPECT_TRUE(is_free(request(1, kWrite)));
  EXPECT_TRUE(is_free(request(2, kWrite, 20, 30)));
}

TEST_F(LockTableTest, FlockAndFcntlDoNotSeeEachOther) {
  EXPECT_EQ(lock(request(1, kWrite)), 0);
  EXPECT_EQ(lock(whole(2, kWrite)), 0);
  EXPECT_EQ(lock(whole(1, kRead)), EAGAIN);
}

TEST_F(LockTableTest, FlockGivesUpTheOldLockBeforeItTakesAnother) {
  EXPECT_EQ(lock(whole(1, kRead)), 0);
  EXPECT_EQ(lock(whole(2, kRead)), 0);
  EXPECT_EQ(lock(whole(1, kWrite)), EAGAIN);
  EXPECT_EQ(lock(whole(2, kWrite)), 0);
}

TEST_F(LockTableTest, ADowngradeLetsReadersIn) {
  EXPECT_EQ(lock(request(1, kWrite)), 0);
  EXPECT_EQ(lock(request(2, kRead, 0, 9), 20), -1);
  EXPECT_EQ(lock(request(1, kRead, 0, 9)), 0);
  EXPECT_EQ(listener_->granted, Waiters{20});
}

TEST_F(LockTableTest, WhoCameFirstIsServedFirst) {
  EXPECT_EQ(lock(request(1, kWrite)), 0);
  EXPECT_EQ(lock(request(2, kWrite), 20), -1);
  EXPECT_EQ(lock(request(3, kWrite), 30), -1);
  EXPECT_EQ(lock(request(4, kRead), 40), -1);
  locks_.unlock(request(1, kWrite));
  EXPECT_EQ(listener_->granted, Waiters{20});
  locks_.unlock(request(2, kWrite));
  EXPECT_EQ(listener_->granted, (Waiters{20, 30}));
  locks_.unlock(request(3, kWrite));
  EXPECT_EQ(listener_->granted, (Waiters{20, 30, 40}));
}

TEST_F(LockTableTest, AskingAgainTellsHowItStands) {
  EXPECT_EQ(lock(request(1, kWrite)), 0);
  EXPECT_EQ(lock(request(2, kWrite), 20), -1);
  EXPECT_EQ(lock(request(2, kWrite), 20), -1);
  locks_.unlock(request(1, kWrite));
  EXPECT_FALSE(is_free(request(1, kWrite)));
  EXPECT_EQ(lock(request(2, kWrite), 20), 0);
  locks_.cancel(2, 20);  // the lock is granted, so there is no waiter to cancel
  EXPECT_FALSE(is_free(request(1, kWrite)));
}

TEST_F(LockTableTest, CancellingEndsTheWaitOrGivesTheLockBack) {
  EXPECT_EQ(lock(request(1, kWrite)), 0);
  EXPECT_EQ(lock(request(2, kWrite), 20), -1);
  EXPECT_EQ(lock(request(3, kWrite, 0, 4), 30), -1);
  locks_.cancel(2, 20);
  locks_.unlock(request(1, kWrite));
  EXPECT_EQ(listener_->granted, Waiters{30});
  locks_.cancel(3, 30);
  EXPECT_TRUE(is_free(request(1, kWrite)));
}

TEST_F(LockTableTest, TwoWhoWaitForEachOtherAreADeadlock) {
  EXPECT_EQ(lock(request(1, kWrite, 0, 0)), 0);
  EXPECT_EQ(lock(request(2, kWrite, 1, 1)), 0);
  EXPECT_EQ(lock(request(1, kWrite, 1, 1), 10), -1);
  EXPECT_EQ(lock(request(2, kWrite, 0, 0), 20), EDEADLK);
  EXPECT_EQ(lock(request(2, kWrite, 0, 0)), EAGAIN);
  locks_.unlock(request(2, kWrite, 1, 1));
  EXPECT_EQ(listener_->granted, Waiters{10});
}

TEST_F(LockTableTest, ADeadlockOfThreeOverThreeFiles) {
  for (std::uint64_t i = 1; i <= 3; ++i) EXPECT_EQ(lock(request(i, kWrite, 0, 9, i)), 0);
  EXPECT_EQ(lock(request(1, kRead, 5, 5, 2), 10), -1);
  EXPECT_EQ(lock(request(2, kRead, 5, 5, 3), 20), -1);
  EXPECT_EQ(lock(request(3, kRead, 5, 5, 1), 30), EDEADLK);
  EXPECT_EQ(lock(request(3, kRead, 10, 10, 1), 30), 0);
}

TEST_F(LockTableTest, AnUpgradeOfTwoReadersIsADeadlock) {
  EXPECT_EQ(lock(request(1, kRead)), 0);
  EXPECT_EQ(lock(request(2, kRead)), 0);
  EXPECT_EQ(lock(request(1, kWrite), 10), -1);
  EXPECT_EQ(lock(request(2, kWrite), 20), EDEADLK);
}

TEST_F(LockTableTest, WaitingForOneWhoDoesNotWaitIsNone) {
  EXPECT_EQ(lock(request(1, kWrite, 0, 0)), 0);
  EXPECT_EQ(lock(request(2, kWrite, 1, 1)), 0);
  EXPECT_EQ(lock(request(3, kWrite, 0, 1), 30), -1);
  EXPECT_EQ(lock(request(1, kWrite, 1, 1), 10), -1);
}

TEST_F(LockTableTest, FlockHasNoDeadlocks) {
  EXPECT_EQ(lock(whole(1, kRead)), 0);
  EXPECT_EQ(lock(whole(2, kRead)), 0);
  EXPECT_EQ(lock(whole(1, kWrite), 10), -1);
  EXPECT_EQ(lock(whole(2, kWrite), 20), 0);  // the waiting first one has given up its own lock
  locks_.unlock(whole(2, kWrite));
  EXPECT_EQ(listener_->granted, Waiters{10});
}

TEST_F(LockTableTest, ASessionHasOnlySoManyLocksAndWaiters) {
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(lock(request(1, kWrite, 2 * i, 2 * i)), 0);
  EXPECT_EQ(lock(request(1, kWrite, 100, 100)), ENOLCK);
  EXPECT_EQ(lock(request(2, kWrite, 0, 0), 20), -1);
  EXPECT_EQ(lock(request(2, kWrite, 0, 0), 21), -1);
  EXPECT_EQ(lock(request(2, kWrite, 0, 0), 22), ENOLCK);
  locks_.unlock(request(1, kWrite, 6, 6));
  EXPECT_EQ(lock(request(1, kWrite, 100, 100)), 0);
}

TEST_F(LockTableTest, WhatASessionHeldGoesWithIt) {
  EXPECT_EQ(lock(request(1, kWrite)), 0);
  EXPECT_EQ(lock(whole(1, kWrite)), 0);
  EXPECT_EQ(lock(request(1, kWrite, 0, 9, 2)), 0);
  EXPECT_EQ(lock(request(2, kWrite), 20), -1);
  EXPECT_EQ(lock(whole(2, kWrite), 21), -1);
  EXPECT_TRUE(locks_.concerns(1, request(1, kRead).file));
  locks_.drop(1, request(1, kRead).file);
  EXPECT_FALSE(locks_.concerns(1, request(1, kRead).file));
  EXPECT_EQ(listener_->granted, (Waiters{20, 21}));
  EXPECT_FALSE(is_free(request(2, kRead, 0, 9, 2)));
  locks_.end_session(1);
  EXPECT_TRUE(is_free(request(2, kRead, 0, 9, 2)));
}

TEST_F(LockTableTest, WhoWaitedInASessionThatEndsGetsNothing) {
  EXPECT_EQ(lock(request(1, kWrite)), 0);
  EXPECT_EQ(lock(request(2, kWrite), 20), -1);
  locks_.end_session(2);
  locks_.unlock(request(1, kWrite));
  EXPECT_TRUE(listener_->granted.empty());
  EXPECT_TRUE(is_free(request(3, kWrite)));
}

TEST_F(LockTableTest, WhatWasHeldBeforeARestartIsKeptForItsHolder) {
  EXPECT_EQ(lock(request(9, kWrite, 50, 50)), 0);  // no session has come back yet
  locks_.expect_reclaims();
  EXPECT_EQ(lock(request(2, kWrite, 0, 9)), EINPROGRESS);
  EXPECT_EQ(lock(request(2, kWrite, 0, 9), 20), EINPROGRESS);
  EXPECT_EQ(lock(request(1, kWrite, 0, 9), 0, /*reclaim=*/true), 0);
  EXPECT_EQ(lock(request(3, kWrite, 0, 9), 0, /*reclaim=*/true), EAGAIN);
  locks_.unlock(request(1, kWrite));
  EXPECT_TRUE(is_free(request(2, kWrite, 0, 9)));
}

}  // namespace
}  // namespace foliofs::server
