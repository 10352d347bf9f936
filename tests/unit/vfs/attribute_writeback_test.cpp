// Owner, mode and times of a file that this client is making: the client sends them with the file's
// bytes, or at once where another client could see them.
#include "tests/unit/vfs/leases_fixture.h"

namespace foliofs::test {
namespace {

constexpr std::int64_t kOld = 1'000'000'000'000'000'000;

vfs::AttributeChange mode(std::uint32_t bits) {
  vfs::AttributeChange change;
  change.valid = proto::kSetMode;
  change.mode = bits;
  return change;
}

vfs::AttributeChange times(std::int64_t atime_ns, std::int64_t mtime_ns) {
  vfs::AttributeChange change;
  change.valid = proto::kSetAtime | proto::kSetMtime;
  change.atime_ns = atime_ns;
  change.mtime_ns = mtime_ns;
  return change;
}

vfs::AttributeChange owner(std::uint32_t uid, std::uint32_t gid) {
  vfs::AttributeChange change;
  change.valid = proto::kSetUid | proto::kSetGid;
  change.uid = uid;
  change.gid = gid;
  return change;
}

class AttributeWritebackTest : public LeasesTest {
 protected:
  AttributeWritebackTest() { server_.gives_exclusive = true; }

  // Makes a file and keeps it open.
  void SetUp() override {
    LeasesTest::SetUp();
    make();
  }
  void make() {
    auto made = create("f", O_CREAT | O_RDWR, 0600);
    ASSERT_TRUE(made);
    made_ = made.value().opened;
    node_ = made.value().entry.node;
    server_.seen.clear();
  }
  void TearDown() override {
    if (made_.file) release(made_);
    LeasesTest::TearDown();
  }

  Result<vfs::Attributes> set(const vfs::AttributeChange& change, std::uint32_t uid = 1000) {
    return loop_.run(ops().setattr(call(uid), node_, change, made_.file));
  }
  ServerFile& there() { return server_.file("f"); }
  std::uint32_t mode_there() { return there().mode & 07777; }
  std::size_t requests(MessageType type) const { return server_.count(type); }

  vfs::OpenedFile made_;
  Node node_ = 0;
};

// --- What is kept -------------------------------------------------------------------------------

// SEMANTICS: made-in-one
TEST_F(AttributeWritebackTest, OwnerModeAndTimesGoWithTheBytes) {
  ASSERT_TRUE(write(made_, 0, "text"));
  ASSERT_TRUE(set(times(kOld + 1, kOld)));
  ASSERT_TRUE(set(owner(1000, 0)));
  ASSERT_TRUE(set(mode(0640)));
  EXPECT_TRUE(server_.seen.empty()) << "nobody can look, so nobody needs to be told";
  ASSERT_TRUE(flush(made_));
  EXPECT_EQ(requests(MessageType::kWrite), 1u);
  EXPECT_EQ(requests(MessageType::kSetAttr), 0u);
  EXPECT_EQ(mode_there(), 0640u);
  EXPECT_EQ(there().mtime_ns, kOld);
  EXPECT_EQ(there().atime_ns, kOld + 1);
  EXPECT_EQ(there().data, "text");
}

TEST_F(AttributeWritebackTest, WithoutBytesTheyGoTogether) {
  ASSERT_TRUE(set(times(kOld, kOld)));
  ASSERT_TRUE(set(mode(0640)));
  ASSERT_TRUE(flush(made_));
  EXPECT_EQ(requests(MessageType::kSetAttr), 1u);
  EXPECT_EQ(requests(MessageType::kWrite), 0u);
  EXPECT_EQ(mode_there(), 0640u);
  EXPECT_EQ(there().mtime_ns, kOld);
}

TEST_F(AttributeWritebackTest, AreShownAtOnce) {
  const auto shown = set(times(kOld + 1, kOld)).value();
  EXPECT_EQ(shown.mtime_ns, kOld);
  EXPECT_EQ(shown.atime_ns, kOld + 1);
  EXPECT_GT(shown.ctime_ns, there().ctime_ns);
  EXPECT_EQ(set(mode(0444)).value().mode & 07777, 0444u);
  EXPECT_EQ(attribute_timeout(node_), Duration::zero()) << "ctime is not final";
}

// SEMANTICS: times-stay
TEST_F(AttributeWritebackTest, WhatStatShowsIsFinal) {
  ASSERT_TRUE(write(made_, 0, "text"));
  ASSERT_TRUE(set(times(kOld, kOld)));
  ASSERT_TRUE(set(mode(0640)));
  const auto shown = stat(node_);
  EXPECT_EQ(shown.ctime_ns, there().ctime_ns);
  EXPECT_EQ(mode_there(), 0640u);
  ASSERT_TRUE(flush(made_));
  EXPECT_EQ(stat(node_).ctime_ns, shown.ctime_ns);
  EXPECT_EQ(there().mtime_ns, kOld);
}

TEST_F(AttributeWritebackTest, TheLatestCounts) {
  ASSERT_TRUE(set(mode(0400)));
  ASSERT_TRUE(set(mode(0640)));
  ASSERT_TRUE(set(times(kOld, kOld)));
  ASSERT_TRUE(set(times(kOld, kOld + 7)));
  ASSERT_TRUE(flush(made_));
  EXPECT_EQ(mode_there(), 0640u);
  EXPECT_EQ(there().mtime_ns, kOld + 7);
}

TEST_F(AttributeWritebackTest, AStoreAfterwardsMovesTheTimeAgain) {
  ASSERT_TRUE(set(times(kOld, kOld)));
  ASSERT_TRUE(write(made_, 0, "text"));
  ASSERT_TRUE(flush(made_));
  EXPECT_GT(there().mtime_ns, kOld);
}

TEST_F(AttributeWritebackTest, ATruncationAfterwardsMovesTheTimeAgain) {
  ASSERT_TRUE(set(times(kOld, kOld)));
  ASSERT_TRUE(set(mode(0640)));
  vfs::AttributeChange size;
  size.valid = proto::kSetSize;
  size.size = 10;
  ASSERT_TRUE(set(size));
  EXPECT_GT(there().mtime_ns, kOld);
  EXPECT_EQ(mode_there(), 0640u);
  ASSERT_TRUE(flush(made_));
  EXPECT_GT(there().mtime_ns, kOld);
}

// A user whom the new mode keeps from reading the file must not read bytes stored after it was set.
TEST_F(AttributeWritebackTest, NoBytesArriveBeforeAModeThatWasSetBeforeThem) {
  ASSERT_TRUE(set(mode(0400)));
  server_.hold_requests(MessageType::kSetAttr);
  ASSERT_TRUE(write(made_, 0, "secret"));
  auto written = loop_.start(mount_->drain({}));
  until([&] { return written->has_value(); });
  EXPECT_EQ(there().data, "secret");
  EXPECT_EQ(mode_there(), 0400u);
}

// --- What is not --------------------------------------------------------------------------------

TEST_F(AttributeWritebackTest, WhatTheServerCouldRefuseIsAskedForAtOnce) {
  vfs::AttributeChange now;
  now.valid = proto::kSetAtimeNow | proto::kSetMtimeNow;
  for (const auto& change : {owner(1001, 0), owner(1000, 5), mode(04755), now}) {
    server_.seen.clear();
    ASSERT_TRUE(set(change));
    EXPECT_EQ(requests(MessageType::kSetAttr), 1u);
  }
  server_.seen.clear();
  ASSERT_TRUE(set(mode(0600), 0));
  EXPECT_EQ(requests(MessageType::kSetAttr), 1u) << "not the owner";
}

TEST_F(AttributeWritebackTest, AfterTheFirstCloseTheyGoAtOnce) {
  ASSERT_TRUE(flush(made_));
  ASSERT_TRUE(set(mode(0640)));
  EXPECT_EQ(mode_there(), 0640u);
}

TEST_F(AttributeWritebackTest, WithoutAnExclusiveLeaseTheyGoAtOnce) {
  server_.gives_exclusive = false;
  release(made_);
  ASSERT_TRUE(loop_.run(ops().unlink(call(), vfs::kRootNode, "f", false)));
  make();
  ASSERT_TRUE(set(mode(0640)));
  EXPECT_EQ(mode_there(), 0640u);
}

TEST_F(AttributeWritebackTest, OnceTheServerHasEndedTheLeaseTheyGoAtOnce) {
  server_.recall_everything();
  loop_.settle();
  ASSERT_TRUE(set(mode(0640)));
  EXPECT_EQ(mode_there(), 0640u);
}

// --- When they are sent -------------------------------------------------------------------------

// SEMANTICS: leases-are-exact
TEST_F(AttributeWritebackTest, ALeaseIsReturnedOnceTheServerHasThem) {
  ASSERT_TRUE(write(made_, 0, "text"));
  ASSERT_TRUE(set(times(kOld, kOld)));
  ASSERT_TRUE(set(mode(0640)));
  server_.hold_requests(MessageType::kWrite);
  server_.recall(7, {{there(), {}}});
  until([&] { return server_.waiting != 0; });
  loop_.settle();
  EXPECT_FALSE(returned(7));
  server_.release();
  until([&] { return returned(7); });
  EXPECT_EQ(mode_there(), 0640u);
  EXPECT_EQ(there().mtime_ns, kOld);
  ASSERT_TRUE(flush(made_));
  EXPECT_EQ(there().data, "text");
  EXPECT_EQ(there().mtime_ns, kOld) << "the bytes were stored before it was set";
}

// Calls that wait, perhaps for this very lease, have taken all slots.
TEST_F(AttributeWritebackTest, ALeaseIsReturnedAlthoughNoSlotIsFree) {
  server_.add("other", "");
  const Node other = lookup("other");
  ASSERT_TRUE(set(mode(0640)));
  server_.hold_requests(MessageType::kGetXattr);
  for (int i = 0; i < 200; ++i) {
    loop_.start(ops().get_xattr(call(), other, "user.x" + std::to_string(i)));
  }
  server_.recall(7, {{there(), {}}});
  until([&] { return returned(7); });
  EXPECT_EQ(mode_there(), 0640u);
  server_.release();
}

TEST_F(AttributeWritebackTest, AreSentWhenAllLeasesEnd) {
  ASSERT_TRUE(set(mode(0640)));
  server_.recall_everything();
  until([&] { return mode_there() == 0640u; });
}

TEST_F(AttributeWritebackTest, AreSentWhenTheyGetOld) {
  ASSERT_TRUE(set(mode(0640)));
  pass(options_.cache.dirty_expire / 2);
  EXPECT_EQ(mode_there(), 0600u);
  pass(options_.cache.dirty_expire);
  EXPECT_EQ(mode_there(), 0640u);
}

TEST_F(AttributeWritebackTest, AreThereAfterFsync) {
  ASSERT_TRUE(set(mode(0640)));
  ASSERT_TRUE(set(times(kOld, kOld)));
  ASSERT_TRUE(fsync(made_));
  EXPECT_EQ(mode_there(), 0640u);
  EXPECT_EQ(there().mtime_ns, kOld);
  EXPECT_EQ(server_.seen.back().type, MessageType::kCommit);
}

TEST_F(AttributeWritebackTest, AreThereAfterReleaseAndUnmount) {
  ASSERT_TRUE(set(mode(0640)));
  release(std::exchange(made_, {}));
  EXPECT_EQ(mode_there(), 0640u);
  auto second = create("second", O_CREAT | O_RDWR, 0600).value();
  node_ = second.entry.node;
  ASSERT_TRUE(set(mode(0444)));
  ASSERT_TRUE(loop_.run(mount_->shut_down()));
  EXPECT_EQ(server_.file("second").mode & 07777, 0444u);
}

TEST_F(AttributeWritebackTest, GoBeforeAnyOtherRequestThatNamesTheFile) {
  const auto goes_first = [&] {
    return !server_.seen.empty() && server_.seen.front().type == MessageType::kSetAttr;
  };
  ASSERT_TRUE(set(mode(0640)));
  ASSERT_TRUE(loop_.run(ops().set_xattr(call(), node_, "user.x", {}, 0)));
  EXPECT_TRUE(goes_first());
  ASSERT_TRUE(set(mode(0600)));
  server_.seen.clear();
  const auto second = open(node_);
  EXPECT_TRUE(goes_first());
  ASSERT_TRUE(set(mode(0640)));
  server_.seen.clear();
  ASSERT_TRUE(loop_.run(ops().link(call(), node_, vfs::kRootNode, "g")));
  EXPECT_TRUE(goes_first());
  release(second);
}

// --- What goes wrong ----------------------------------------------------------------------------

TEST_F(AttributeWritebackTest, AFailureIsToldAtClose) {
  ASSERT_TRUE(set(mode(0640)));
  server_.fails[MessageType::kSetAttr] = EIO;
  EXPECT_EQ(flush(made_), Status(Errno(EIO)));
  server_.fails.clear();
  EXPECT_TRUE(flush(made_));
}

TEST_F(AttributeWritebackTest, AWriteThatFailedIsFollowedByThem) {
  ASSERT_TRUE(write(made_, 0, "text"));
  ASSERT_TRUE(set(mode(0640)));
  server_.fails[MessageType::kWrite] = ENOSPC;
  EXPECT_EQ(flush(made_), Status(Errno(ENOSPC)));
  EXPECT_EQ(mode_there(), 0640u);
  server_.fails.clear();
}

TEST_F(AttributeWritebackTest, OfAFileWithoutANameNothingIsToldAtClose) {
  ASSERT_TRUE(set(mode(0640)));
  there().nlink = 0;
  server_.root().names.erase("f");
  EXPECT_TRUE(flush(made_));
}

TEST_F(AttributeWritebackTest, SurviveARestartOfTheServer) {
  ASSERT_TRUE(write(made_, 0, "text"));
  ASSERT_TRUE(set(times(kOld, kOld)));
  ASSERT_TRUE(set(mode(0640)));
  const std::uint64_t before = session_->incarnation();
  server_.restart();
  until([&] { return session_->incarnation() != before; });
  ASSERT_TRUE(flush(made_));
  EXPECT_EQ(mode_there(), 0640u);
  EXPECT_EQ(there().mtime_ns, kOld);
  EXPECT_EQ(there().data, "text");
}

TEST_F(AttributeWritebackTest, WhatCouldNotBeSentIsTriedAgainAfterTheClose) {
  ASSERT_TRUE(set(mode(0640)));
  server_.fails[MessageType::kSetAttr] = EIO;
  EXPECT_FALSE(flush(made_));
  release(std::exchange(made_, {}));
  ops().forget(node_, 1);
  EXPECT_EQ(loop_.run(mount_->drain({})), Status(Errno(EIO)));
  server_.fails.clear();
  pass(2 * options_.cache.dirty_expire);
  EXPECT_EQ(mode_there(), 0640u);
  EXPECT_EQ(mount_->stats().inodes, 1u) << "now it may go";
}

// Other clients' changes are younger, because the exclusive lease kept them from the file before.
TEST_F(AttributeWritebackTest, WhatOthersHaveSetSinceLeasesEndedStays) {
  ASSERT_TRUE(set(mode(0640)));
  ASSERT_TRUE(set(times(kOld, kOld)));
  there().mode = S_IFREG | 0444;
  const std::int64_t theirs = there().mtime_ns;
  ++there().foreign_changes;
  server_.recall_everything();
  pass(std::chrono::seconds(1));
  ASSERT_TRUE(flush(made_));
  EXPECT_EQ(mode_there(), 0444u);
  EXPECT_EQ(there().mtime_ns, theirs);
  EXPECT_EQ(requests(MessageType::kSetAttr), 0u);
}

// The reply to our own SETATTR was lost with the session.
TEST_F(AttributeWritebackTest, AChangeOfOursThatWasSentLastIsNotTakenForTheirs) {
  ASSERT_TRUE(set(mode(0400)));
  server_.hold_replies(MessageType::kSetAttr);
  auto syncing = loop_.start(ops().fsync(made_.file, false));
  until([&] { return server_.waiting != 0; });
  ASSERT_TRUE(set(mode(0640)));
  const std::uint64_t before = session_->incarnation();
  server_.restart();
  server_.release();
  until([&] { return session_->incarnation() != before && syncing->has_value(); });
  ASSERT_TRUE(flush(made_));
  EXPECT_EQ(mode_there(), 0640u);
}

// A newer mode does not overtake a WRITE that carries an old one.
TEST_F(AttributeWritebackTest, WhatIsSetMeanwhileIsSentAfterwards) {
  ASSERT_TRUE(write(made_, 0, "text"));
  ASSERT_TRUE(set(mode(0400)));
  server_.hold_requests(MessageType::kWrite);
  auto syncing = loop_.start(ops().fsync(made_.file, false));
  until([&] { return server_.waiting != 0; });
  ASSERT_TRUE(set(mode(0640)));
  auto synced = loop_.start(ops().fsync(made_.file, false));
  loop_.settle();
  EXPECT_EQ(requests(MessageType::kSetAttr), 0u);
  server_.release();
  until([&] { return syncing->has_value() && synced->has_value(); });
  EXPECT_EQ(mode_there(), 0640u);
}

}  // namespace
}  // namespace foliofs::test
