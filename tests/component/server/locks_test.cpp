// Locks over the wire: two sessions with a real server, notices, connections that are cut, sessions
// that end.
#include <csignal>

#include "tests/component/server/fixture.h"

namespace foliofs::server {
namespace {

class Locks : public ServerTest {
 protected:
  struct Client {
    std::unique_ptr<RawClient> raw;
    std::uint64_t open = 0;
  };

  void SetUp() override {
    ServerTest::SetUp();
    put_file("file", "content");
  }
  Client client() {
    Client client{connect()};
    client.open = open_file(*client.raw);
    return client;
  }
  static std::uint64_t open_file(RawClient& raw) {
    auto entry = raw.lookup(raw.root(), "file");
    EXPECT_TRUE(entry);
    auto opened = raw.open(entry.value().reply.handle, O_RDWR);
    EXPECT_TRUE(opened);
    return opened ? opened.value().reply.open_id : 0;
  }

  static wire::LockRequestT request(const Client& client, std::uint32_t type,
                                    std::uint64_t waiter = 0) {
    wire::LockRequestT request;
    request.open_id = client.open;
    request.owner = 5;
    request.type = type;
    request.end = kLastLockByte;
    request.pid = 4711;
    request.waiter = waiter;
    return request;
  }
  // 0 if granted, -1 if it waits, or an errno.
  static int ask(Client& client, const wire::LockRequestT& request) {
    auto answer = client.raw->call(request);
    if (!answer) return answer.error().value();
    return answer.value().reply.granted ? 0 : -1;
  }
  static int lock(Client& client, std::uint32_t type, std::uint64_t waiter = 0) {
    return ask(client, request(client, type, waiter));
  }
  // The waiter in the next LOCKGRANTED notice; 0 if another message comes.
  static std::uint64_t next_notice(Client& client) {
    auto frame = client.raw->receive();
    if (!frame || !frame.value().header.is_notice()) return 0;
    const FrameHeader& header = frame.value().header;
    EXPECT_EQ(header.type, MessageType::kLockGranted);
    EXPECT_EQ(header.slot, 0u);
    EXPECT_EQ(header.request_id, 0u);
    auto granted = proto::decode<wire::LockGranted>(frame.value().meta);
    return granted ? granted.value().waiter : 0;
  }
  static bool is_free(Client& client) {
    wire::TestLockRequestT test;
    test.open_id = client.open;
    test.owner = 6;
    test.type = F_WRLCK;
    test.end = kLastLockByte;
    auto answer = client.raw->call(test);
    EXPECT_TRUE(answer);
    return answer && answer.value().reply.type == F_UNLCK;
  }
};

TEST_F(Locks, ConflictsAreBetweenSessions) {
  Client first = client(), second = client();
  EXPECT_EQ(lock(first, F_WRLCK), 0);
  EXPECT_EQ(lock(second, F_RDLCK), EAGAIN);
  wire::TestLockRequestT test;
  test.open_id = second.open;
  test.owner = 5;
  test.type = F_RDLCK;
  test.end = 10;
  auto found = second.raw->call(test);
  ASSERT_TRUE(found);
  EXPECT_EQ(found.value().reply.type, static_cast<std::uint32_t>(F_WRLCK));
  EXPECT_EQ(found.value().reply.start, 0u);
  EXPECT_EQ(found.value().reply.end, kLastLockByte);
  EXPECT_EQ(found.value().reply.pid, 4711u);
  auto whole = request(second, F_WRLCK);
  whole.whole_file = true;
  EXPECT_EQ(ask(second, whole), 0);
  EXPECT_EQ(lock(first, F_UNLCK), 0);
  EXPECT_EQ(lock(second, F_WRLCK), 0);
}

TEST_F(Locks, WhatIsNotALockIsRefused) {
  Client first = client();
  auto wrong = request(first, 17);
  EXPECT_EQ(ask(first, wrong), EINVAL);
  wrong = request(first, F_WRLCK);
  wrong.start = 10;
  wrong.end = 9;
  EXPECT_EQ(ask(first, wrong), EINVAL);
  wrong.end = kLastLockByte + 1;
  EXPECT_EQ(ask(first, wrong), EINVAL);
  EXPECT_EQ(ask(first, request(first, F_UNLCK, 8)), EINVAL);
  wrong = request(first, F_WRLCK, 8);
  wrong.reclaim = true;
  EXPECT_EQ(ask(first, wrong), EINVAL);
  wrong = request(first, F_WRLCK);
  wrong.open_id += 100;
  EXPECT_EQ(ask(first, wrong), EBADF);
  wire::TestLockRequestT test;
  test.open_id = first.open;
  test.type = F_UNLCK;
  EXPECT_EQ(errno_of(first.raw->call(test)), EINVAL);
  wire::CancelLockRequestT unknown;
  unknown.waiter = 99;
  EXPECT_TRUE(first.raw->call(unknown));
}

TEST_F(Locks, AWaiterIsToldWhenItIsGranted) {
  Client first = client(), second = client();
  EXPECT_EQ(lock(first, F_WRLCK), 0);
  EXPECT_EQ(lock(second, F_WRLCK, 21), -1);
  EXPECT_TRUE(second.raw->call(wire::PingRequestT()));  // a waiting lock takes no slot
  EXPECT_EQ(lock(first, F_UNLCK), 0);
  EXPECT_EQ(next_notice(second), 21u);
  EXPECT_FALSE(is_free(first));
  EXPECT_EQ(lock(second, F_WRLCK, 21), 0);
}

TEST_F(Locks, ACancelledWaiterGetsNothing) {
  Client first = client(), second = client();
  EXPECT_EQ(lock(first, F_WRLCK), 0);
  EXPECT_EQ(lock(second, F_WRLCK, 21), -1);
  wire::CancelLockRequestT cancel;
  cancel.waiter = 21;
  EXPECT_TRUE(second.raw->call(cancel));
  EXPECT_EQ(lock(first, F_UNLCK), 0);
  EXPECT_TRUE(is_free(second));
}

TEST_F(Locks, AGrantWhoseNoticeWasLostIsLearntByAskingAgain) {
  Client first = client(), second = client();
  EXPECT_EQ(lock(first, F_WRLCK), 0);
  EXPECT_EQ(lock(second, F_WRLCK, 21), -1);
  second.raw->hang_up();
  EXPECT_EQ(lock(first, F_UNLCK), 0);
  Client again{std::make_unique<RawClient>(port()), second.open};
  again.raw->take_over(*second.raw);
  auto hello = again.raw->hello("data", second.raw->session());
  ASSERT_TRUE(hello);
  ASSERT_TRUE(hello.value().resumed);
  EXPECT_EQ(lock(first, F_RDLCK), EAGAIN);
  EXPECT_EQ(lock(again, F_WRLCK, 21), 0);
}

TEST_F(Locks, ADeadlockIsRefused) {
  Client first = client(), second = client();
  auto at = [](const Client& client, std::uint64_t byte, std::uint64_t waiter) {
    auto one = request(client, F_WRLCK, waiter);
    one.start = one.end = byte;
    return one;
  };
  EXPECT_EQ(ask(first, at(first, 0, 0)), 0);
  EXPECT_EQ(ask(second, at(second, 1, 0)), 0);
  EXPECT_EQ(ask(first, at(first, 1, 11)), -1);
  EXPECT_EQ(ask(second, at(second, 0, 22)), EDEADLK);
}

// SEMANTICS: locks-end
TEST_F(Locks, TheyGoWithTheLastOpenOfTheFileAndWithTheSession) {
  Client first = client(), second = client();
  const std::uint64_t other_open = open_file(*first.raw);
  EXPECT_EQ(lock(first, F_WRLCK), 0);
  EXPECT_TRUE(first.raw->close(other_open));
  EXPECT_FALSE(is_free(second));
  EXPECT_TRUE(first.raw->close(first.open));
  EXPECT_TRUE(is_free(second));

  first.open = open_file(*first.raw);
  EXPECT_EQ(lock(first, F_WRLCK), 0);
  EXPECT_EQ(lock(second, F_WRLCK, 21), -1);
  EXPECT_TRUE(first.raw->call(wire::ByeRequestT()));
  EXPECT_EQ(next_notice(second), 21u);
}

// Every thread that could close the files of a session waits in an open(2) for writing, until a
// process on the server gives up its fcntl(2) lease of the file.
class LocksBesideABusyLane : public Locks {
 protected:
  static constexpr std::uint32_t kOpens = 16;  // more than there are threads

  // False if the filesystem has no such leases.
  bool keep_all_busy() {
    put_file("leased", "x");
    std::signal(SIGIO, SIG_IGN);  // the kernel sends it to the holder of a lease
    leased_ = UniqueFd(::open((tree() / "leased").c_str(), O_RDONLY | O_CLOEXEC));
    if (::fcntl(leased_.get(), F_SETLEASE, F_RDLCK) != 0) return false;
    opener_ = std::make_unique<RawClient>(port());
    EXPECT_TRUE(opener_->hello("data", {}, 2 * kOpens));
    wire::OpenRequestT open;
    open.caller = opener_->caller();
    open.handle = opener_->lookup(opener_->root(), "leased").value().reply.handle;
    open.open_flags = O_RDWR;
    for (std::uint32_t slot = 1; slot <= kOpens; ++slot) {
      EXPECT_TRUE(opener_->send(opener_->next(MessageType::kOpen, slot), open));
    }
    // The PING is answered when all opens are in the pool.
    EXPECT_TRUE(opener_->call(wire::PingRequestT()));
    return true;
  }
  void TearDown() override {
    if (leased_) ::fcntl(leased_.get(), F_SETLEASE, F_UNLCK);
    Locks::TearDown();
  }

  UniqueFd leased_;
  std::unique_ptr<RawClient> opener_;
};

TEST_F(LocksBesideABusyLane, GoAtOnceWithTheSession) {
  Client first = client(), second = client();
  EXPECT_EQ(lock(first, F_WRLCK), 0);
  EXPECT_EQ(lock(second, F_WRLCK, 21), -1);
  if (!keep_all_busy()) GTEST_SKIP() << "no leases here";
  EXPECT_TRUE(first.raw->call(wire::ByeRequestT()));
  EXPECT_EQ(next_notice(second), 21u);
}

class LostLocksBesideABusyLane : public LocksBesideABusyLane {
  void adjust(Options& options) override { options.grace = std::chrono::milliseconds(100); }
};

TEST_F(LostLocksBesideABusyLane, GoAtOnceWithTheTimeOfGrace) {
  Client first = client(), second = client();
  EXPECT_EQ(lock(first, F_WRLCK), 0);
  EXPECT_EQ(lock(second, F_WRLCK, 21), -1);
  if (!keep_all_busy()) GTEST_SKIP() << "no leases here";
  first.raw->hang_up();
  EXPECT_EQ(next_notice(second), 21u);
}

TEST_F(Locks, AReadOnlySessionMayLock) {
  Client first{connect("ro")};
  auto entry = first.raw->lookup(first.raw->root(), "file");
  ASSERT_TRUE(entry);
  first.open = first.raw->open(entry.value().reply.handle).value().reply.open_id;
  EXPECT_EQ(lock(first, F_RDLCK), 0);
}

TEST_F(Locks, AClientThatComesBackFromAnEarlierRunHasItsLocksFirst) {
  Client newcomer = client();
  RawClient raw(port());
  ASSERT_TRUE(raw.hello("data", Bytes(16, 3)));  // of a session that this server does not know
  EXPECT_EQ(lock(newcomer, F_WRLCK), EINPROGRESS);
  EXPECT_EQ(lock(newcomer, F_WRLCK, 21), EINPROGRESS);
  auto reclaim = request(newcomer, F_WRLCK);
  reclaim.reclaim = true;
  EXPECT_EQ(ask(newcomer, reclaim), 0);
  EXPECT_EQ(lock(newcomer, F_UNLCK), 0);
}

class LostLocks : public Locks {
  void adjust(Options& options) override { options.grace = std::chrono::milliseconds(100); }
};

// SEMANTICS: locks-end
TEST_F(LostLocks, ASessionWithoutAConnectionLosesThemAfterTheTimeOfGrace) {
  Client first = client(), second = client();
  EXPECT_EQ(lock(first, F_WRLCK), 0);
  EXPECT_EQ(lock(second, F_WRLCK, 21), -1);
  first.raw->hang_up();
  EXPECT_EQ(next_notice(second), 21u);
}

}  // namespace
}  // namespace foliofs::server
