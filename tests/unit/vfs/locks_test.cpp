// Locks on the client: what it does around a grant, waits and how they end, lost sessions.
#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {
namespace {

class VfsLocksTest : public VfsTest {
 protected:
  void SetUp() override {
    VfsTest::SetUp();
    ino_ = server_.add("file", "content").ino;
    node_ = lookup("file");
    file_ = open(node_);
  }

  static vfs::FileLock lock(std::uint32_t type, std::uint64_t start = 0,
                            std::uint64_t end = kLastLockByte) {
    vfs::FileLock lock;
    lock.owner = kOwner;
    lock.type = type;
    lock.start = start;
    lock.end = end;
    return lock;
  }
  static vfs::FileLock whole(std::uint32_t type) {
    vfs::FileLock whole = lock(type);
    whole.whole_file = true;
    return whole;
  }
  // 0 on success, or an errno.
  int set(const vfs::FileLock& lock) {
    auto status = loop_.run(ops().set_lock(call(), file_.file, lock, nullptr));
    return status ? 0 : status.error().value();
  }
  auto begin(const vfs::FileLock& lock, vfs::LockWaitRef wait) {
    return loop_.start(ops().set_lock(call(), file_.file, lock, std::move(wait)));
  }
  // The process closes the file, but the server does not answer the unlocks.
  auto close_unanswered() {
    server_.fails[MessageType::kLock] = ETIMEDOUT;
    EXPECT_TRUE(loop_.run(ops().flush(file_.file, kOwner)));
    return loop_.start(release_all());
  }
  Task<Status> release_all() {
    co_await ops().release(file_.file.get());
    co_return success();
  }
  // The types of the requests that the server has executed, from index `first` on.
  std::vector<MessageType> seen_from(std::size_t first) const {
    std::vector<MessageType> types;
    for (std::size_t i = first; i < server_.seen.size(); ++i) types.push_back(server_.seen[i].type);
    return types;
  }
  bool holds(bool whole_file = false) const {
    return server_.locks.holds(ino_, kOwner, whole_file);
  }

  static constexpr std::uint64_t kOwner = 77;
  std::uint64_t ino_ = 0;
  Node node_ = 0;
  vfs::OpenedFile file_;
};

// SEMANTICS: locks-make-coherent
TEST_F(VfsLocksTest, WhoGetsALockSeesWhatOthersWrote) {
  EXPECT_EQ(read(file_), "content");
  server_.change("file", "changed by another");
  EXPECT_EQ(read(file_), "content");
  EXPECT_EQ(set(lock(F_RDLCK)), 0);
  EXPECT_EQ(read(file_), "changed by another");
}

// SEMANTICS: locks-make-coherent
TEST_F(VfsLocksTest, WhatWasWrittenIsWithTheServerBeforeTheLockGoes) {
  EXPECT_EQ(set(lock(F_WRLCK)), 0);
  ASSERT_TRUE(write(file_, 0, "CONTENT"));
  const std::size_t first = server_.seen.size();
  EXPECT_EQ(set(lock(F_UNLCK)), 0);
  EXPECT_EQ(server_.file("file").data, "CONTENT");
  const auto types = seen_from(first);
  ASSERT_FALSE(types.empty());
  EXPECT_EQ(types.back(), MessageType::kLock);
  EXPECT_FALSE(holds());
}

TEST_F(VfsLocksTest, UnlockingWhatIsNotLockedAsksNobody) {
  EXPECT_EQ(set(lock(F_WRLCK, 0, 9)), 0);
  const std::size_t asked = server_.count(MessageType::kLock);
  EXPECT_EQ(set(lock(F_UNLCK, 10, 19)), 0);
  EXPECT_EQ(server_.count(MessageType::kLock), asked);
  EXPECT_TRUE(holds());
}

TEST_F(VfsLocksTest, AConflictIsToldAndDescribed) {
  server_.locks.lock_by_another(LockType::kRead);
  EXPECT_EQ(set(lock(F_RDLCK)), 0);
  EXPECT_EQ(set(lock(F_WRLCK)), EAGAIN);
  auto found = loop_.run(ops().test_lock(file_.file, lock(F_WRLCK, 5, 6)));
  ASSERT_TRUE(found);
  EXPECT_EQ(found.value().type, static_cast<std::uint32_t>(F_RDLCK));
  EXPECT_EQ(found.value().end, kLastLockByte);
  found = loop_.run(ops().test_lock(file_.file, lock(F_RDLCK)));
  EXPECT_EQ(found.value().type, static_cast<std::uint32_t>(F_UNLCK));
}

// SEMANTICS: locks-end
TEST_F(VfsLocksTest, CloseDropsTheOwnersLocksAndTheLastOneTheFiles) {
  EXPECT_EQ(set(lock(F_WRLCK)), 0);
  EXPECT_EQ(set(whole(F_WRLCK)), 0);
  EXPECT_FALSE(ops().try_flush(file_.file.get(), kOwner));
  EXPECT_TRUE(ops().try_flush(file_.file.get(), kOwner + 1));
  ASSERT_TRUE(loop_.run(ops().flush(file_.file, kOwner)));
  EXPECT_FALSE(holds());
  EXPECT_TRUE(holds(true));
  EXPECT_EQ(set(lock(F_RDLCK)), 0);
  release(file_);
  EXPECT_FALSE(server_.locks.any());
}

TEST_F(VfsLocksTest, AWaitIsNoRequestAndEndsWhenTheServerSaysSo) {
  server_.locks.lock_by_another(LockType::kWrite);
  auto waits = begin(lock(F_WRLCK), std::make_shared<vfs::LockWait>());
  pass(std::chrono::seconds(600));
  EXPECT_FALSE(waits->has_value());
  EXPECT_EQ(server_.count(MessageType::kLock), 1u);
  server_.locks.unlock_by_another();
  until([&] { return waits->has_value(); });
  EXPECT_TRUE(waits->value());
  EXPECT_TRUE(holds());
}

// SEMANTICS: signals
TEST_F(VfsLocksTest, AnInterruptedWaitIsCancelledAtTheServer) {
  server_.locks.lock_by_another(LockType::kWrite);
  auto wait = std::make_shared<vfs::LockWait>();
  auto waits = begin(lock(F_WRLCK), wait);
  EXPECT_EQ(server_.locks.waiting(), 1u);
  wait->interrupt();
  until([&] { return waits->has_value(); });
  EXPECT_EQ(waits->value(), Status(Errno(EINTR)));
  EXPECT_EQ(server_.locks.waiting(), 0u);
  server_.locks.unlock_by_another();
  EXPECT_FALSE(server_.locks.any());
}

TEST_F(VfsLocksTest, AnInterruptThatComesWithTheGrantGivesTheLockBack) {
  server_.locks.lock_by_another(LockType::kWrite);
  auto wait = std::make_shared<vfs::LockWait>();
  auto waits = begin(lock(F_WRLCK), wait);
  wait->interrupt();
  server_.locks.unlock_by_another();
  until([&] { return waits->has_value(); });
  EXPECT_EQ(waits->value(), Status(Errno(EINTR)));
  loop_.settle();
  EXPECT_FALSE(server_.locks.any());
}

TEST_F(VfsLocksTest, AGrantForWhichNobodyWaitsIsGivenBack) {
  server_.grant_notice(12345);
  until([&] { return server_.count(MessageType::kCancelLock) == 1; });
}

// SEMANTICS: locks-survive
TEST_F(VfsLocksTest, AfterARestartLocksAreThereBeforeAnythingIsRead) {
  EXPECT_EQ(set(lock(F_WRLCK, 0, 9)), 0);
  EXPECT_EQ(set(whole(F_RDLCK)), 0);
  const auto other = open(node_);
  server_.change("file", "another");
  server_.restart();
  const std::size_t first = server_.seen.size();
  expire();
  EXPECT_EQ(stat(node_).size, 7u);
  EXPECT_EQ(read(other), "another");
  std::size_t reclaims = 0;
  for (std::size_t i = first; i < server_.seen.size(); ++i) {
    if (server_.seen[i].type == MessageType::kRead) break;
    reclaims += server_.seen[i].type == MessageType::kLock && server_.seen[i].reclaim;
  }
  EXPECT_EQ(reclaims, 2u);
  EXPECT_TRUE(holds());
  EXPECT_TRUE(holds(true));
}

// SEMANTICS: locks-survive
TEST_F(VfsLocksTest, ALockThatAnotherHasGotMeanwhileIsLost) {
  const auto other = open(node_);
  EXPECT_EQ(set(lock(F_WRLCK)), 0);
  server_.locks.lock_by_another(LockType::kWrite);
  server_.restart();
  EXPECT_EQ(set(lock(F_RDLCK)), EIO);
  EXPECT_EQ(loop_.run(ops().read(file_.file, 0, 10)).error(), Errno(EIO));
  EXPECT_EQ(write(file_, 0, "x"), Status(Errno(EIO)));
  EXPECT_EQ(flush(file_), Status(Errno(EIO)));
  EXPECT_EQ(read(other), "content");
}

// Other clients could never get a lock that the server holds for this client, but no process has.
TEST_F(VfsLocksTest, WhatWasTakenAgainBeforeOneWasLostIsGivenUp) {
  const auto other = open(node_);
  EXPECT_EQ(set(lock(F_WRLCK, 0, 9)), 0);
  EXPECT_EQ(set(lock(F_WRLCK, 20, 29)), 0);
  server_.locks.lock_by_another(LockType::kWrite, 20, 29);
  server_.restart();
  EXPECT_EQ(set(lock(F_RDLCK)), EIO);
  until([&] { return !server_.locks.any(); });
  EXPECT_EQ(read(other), "content");
}

// SEMANTICS: locks-end
TEST_F(VfsLocksTest, AnUnlockThatIsNotAnsweredIsTriedAgain) {
  EXPECT_EQ(set(lock(F_WRLCK)), 0);
  server_.fails[MessageType::kLock] = ETIMEDOUT;
  EXPECT_EQ(set(lock(F_UNLCK)), ETIMEDOUT);
  server_.fails.clear();
  EXPECT_TRUE(holds());
  EXPECT_EQ(set(lock(F_UNLCK)), 0);
  EXPECT_FALSE(holds());
}

// SEMANTICS: locks-end
TEST_F(VfsLocksTest, TheLastCloseTriesUntilTheServerAnswers) {
  const auto other = open(node_);
  EXPECT_EQ(set(lock(F_WRLCK)), 0);
  EXPECT_EQ(set(whole(F_WRLCK)), 0);
  auto released = close_unanswered();
  pass(std::chrono::seconds(5));
  EXPECT_TRUE(holds());
  EXPECT_TRUE(holds(true));
  server_.fails.clear();
  until([&] { return !server_.locks.any(); });
  until([&] { return server_.count(MessageType::kClose) == 1; });
  release(other);
}

// SEMANTICS: locks-end
TEST_F(VfsLocksTest, AProcessThatLocksAnewMeanwhileKeepsWhatItGets) {
  const auto other = open(node_);
  EXPECT_EQ(set(lock(F_WRLCK)), 0);
  auto released = close_unanswered();
  server_.fails.clear();
  ASSERT_TRUE(loop_.run(ops().set_lock(call(), other.file, lock(F_WRLCK), nullptr)));
  until([&] { return released->has_value(); });
  pass(std::chrono::seconds(5));
  EXPECT_TRUE(holds());
  release(other);
}

// SEMANTICS: locks-end
TEST_F(VfsLocksTest, AfterACloseThatWasNotAnsweredTheLockGoesThoughOthersHaveItOpen) {
  const auto other = open(node_);
  EXPECT_EQ(set(lock(F_WRLCK)), 0);
  server_.fails[MessageType::kLock] = ETIMEDOUT;
  ASSERT_TRUE(loop_.run(ops().flush(other.file, kOwner)));
  EXPECT_TRUE(holds());
  server_.fails.clear();
  until([&] { return !holds(); });
  release(other);
}

TEST_F(VfsLocksTest, AWaitGoesOnOverARestart) {
  server_.locks.lock_by_another(LockType::kWrite);
  auto waits = begin(lock(F_WRLCK), std::make_shared<vfs::LockWait>());
  EXPECT_EQ(server_.locks.waiting(), 1u);
  server_.restart();
  until([&] { return server_.locks.waiting() == 1; });
  EXPECT_FALSE(waits->has_value());
  server_.locks.unlock_by_another();
  until([&] { return waits->has_value(); });
  EXPECT_TRUE(waits->value());
  EXPECT_TRUE(holds());
}

}  // namespace
}  // namespace foliofs::test
