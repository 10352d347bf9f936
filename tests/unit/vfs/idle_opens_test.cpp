// Opens that no program uses any more: which later opens get them without asking the server, and
// when they are closed.
#include "foliofs/proto/open_flags.h"
#include "tests/unit/vfs/leases_fixture.h"

namespace foliofs::test {
namespace {

class IdleOpensTest : public LeasesTest {
 protected:
  IdleOpensTest() { server_.idle_opens = 2; }

  std::function<vfs::Caller()> caller(std::uint32_t uid = 1000) {
    return [this, uid] {
      return call(uid).caller;
    };
  }
  // Whether the kernel's OPEN is answered from memory. Releases the file if it is.
  bool opens_unasked(Node node, int flags = O_RDONLY, std::uint32_t uid = 1000) {
    auto opened = ops().try_open(caller(uid), 1, node, flags);
    if (opened) release(*opened);
    return opened.has_value();
  }
  // A file that has been read and closed.
  Node add_read(const std::string& name) {
    server_.add(name, "content");
    const Node node = lookup(name);
    auto opened = open(node, O_RDONLY);
    EXPECT_EQ(read(opened), "content");
    release(opened);
    return node;
  }
  std::size_t closed() const { return server_.count(MessageType::kClose); }
  void recall(const std::string& name) {
    server_.recall(++last_recall_, {{server_.file(name), {}}});
    until([&] { return returned(last_recall_); });
  }

  std::uint64_t last_recall_ = 0;
};

// SEMANTICS: leased-is-local
TEST_F(IdleOpensTest, AFileThatWasReadIsOpenedAgainWithoutAsking) {
  const Node node = add_read("f");
  pass(kLong);
  server_.seen.clear();
  auto opened = ops().try_open(caller(), 1, node, O_RDONLY);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->keep_cache);
  EXPECT_EQ(read(*opened), "content");
  EXPECT_FALSE(opens_unasked(node)) << "each open is given out once";
  release(*opened);
  EXPECT_TRUE(opens_unasked(node));
  EXPECT_TRUE(server_.seen.empty());
}

TEST_F(IdleOpensTest, OnlyAsItWasPermitted) {
  const Node node = add_read("f");
  EXPECT_FALSE(opens_unasked(node, O_RDONLY, 1001));
  EXPECT_FALSE(opens_unasked(node, O_RDWR));
  EXPECT_FALSE(opens_unasked(node, O_RDONLY | proto::kOpenToExecute));
  EXPECT_TRUE(opens_unasked(node));
}

// SEMANTICS: leases-are-exact
TEST_F(IdleOpensTest, NotAfterAChangeByOthers) {
  const Node node = add_read("f");
  recall("f");
  EXPECT_FALSE(opens_unasked(node));
  EXPECT_EQ(closed(), 1u);
  stat(node);
  EXPECT_FALSE(opens_unasked(node)) << "another lease";
}

// SEMANTICS: leases-are-exact
TEST_F(IdleOpensTest, AnOpenFromBeforeTheChangeIsNotKept) {
  server_.add("f", "");
  const Node node = lookup("f");
  auto opened = open(node, O_RDONLY);
  recall("f");
  stat(node);
  release(opened);
  EXPECT_FALSE(opens_unasked(node));
  EXPECT_EQ(closed(), 1u);
}

// SEMANTICS: leases-are-exact
TEST_F(IdleOpensTest, NorOneWhoseReplyTheChangeHasOvertaken) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.hold_replies(MessageType::kOpen);
  auto opening = loop_.start(ops().open(call(), node, O_RDONLY));
  until([&] { return server_.waiting == 1; });
  recall("f");
  stat(node);
  server_.release();
  until([&] { return opening->has_value(); });
  release((*opening)->value());
  EXPECT_FALSE(opens_unasked(node));
}

// Permission may have been taken away before the lease was given.
// SEMANTICS: leases-are-exact
TEST_F(IdleOpensTest, NorOneThatBroughtTheLease) {
  server_.add("f", "");
  const Node node = lookup("f");
  recall("f");
  release(open(node, O_RDONLY));
  EXPECT_FALSE(opens_unasked(node));
  release(open(node, O_RDONLY));
  EXPECT_TRUE(opens_unasked(node));
}

TEST_F(IdleOpensTest, NorAfterAChangeOfOurs) {
  const Node node = add_read("f");
  vfs::AttributeChange change;
  change.valid = proto::kSetMode;
  change.mode = 0;
  ASSERT_TRUE(loop_.run(ops().setattr(call(), node, change, nullptr)));
  EXPECT_FALSE(opens_unasked(node));
  until([&] { return closed() == 1; });
}

TEST_F(IdleOpensTest, NothingIsKeptWithoutALease) {
  server_.gives_leases = false;
  const Node node = add_read("f");
  EXPECT_FALSE(opens_unasked(node));
  EXPECT_EQ(closed(), 1u);
}

TEST_F(IdleOpensTest, AllAreClosedWhenAllLeasesAreVoid) {
  const Node f = add_read("f"), g = add_read("g");
  server_.recall_everything();
  until([&] { return closed() == 2; });
  EXPECT_FALSE(opens_unasked(f));
  EXPECT_FALSE(opens_unasked(g));
}

TEST_F(IdleOpensTest, AllAreClosedWhenTheServerWantsThem) {
  const Node f = add_read("f");
  add_read("g");
  server_.want_opens();
  until([&] { return closed() == 2; });
  EXPECT_FALSE(opens_unasked(f));
  EXPECT_TRUE(is_known(f)) << "the leases are not asked back";
}

TEST_F(IdleOpensTest, WhereThereIsNoRoomOnlyOneThatWasKeptForLongGoes) {
  const Node f = add_read("f"), g = add_read("g"), h = add_read("h");
  EXPECT_FALSE(opens_unasked(h));
  pass(std::chrono::seconds(20));
  EXPECT_TRUE(opens_unasked(f));
  release(open(h, O_RDONLY));
  until([&] { return closed() == 2; });
  EXPECT_TRUE(opens_unasked(f));
  EXPECT_FALSE(opens_unasked(g));
  EXPECT_TRUE(opens_unasked(h));
}

TEST_F(IdleOpensTest, AreClosedWhenTheServerHasNoRoomForAnother) {
  add_read("f");
  server_.add("g", "");
  const Node g = lookup("g");
  server_.seen.clear();
  server_.fails[MessageType::kOpen] = ENFILE;
  EXPECT_EQ(loop_.run(ops().open(call(), g, O_RDONLY)).error(), Errno(ENFILE));
  EXPECT_EQ(closed(), 1u);
  EXPECT_EQ(server_.count(MessageType::kOpen), 2u);
  server_.fails[MessageType::kOpen] = EMFILE;
  EXPECT_EQ(loop_.run(ops().open(call(), g, O_RDONLY)).error(), Errno(EMFILE));
  EXPECT_EQ(server_.count(MessageType::kOpen), 3u) << "there was nothing to close";
  server_.fails.clear();
}

TEST_F(IdleOpensTest, WhereOthersHaveAllTheRoomAnOpenWaitsUntilTheyHaveBeenAsked) {
  server_.add("f", "");
  const Node f = lookup("f");
  server_.fails[MessageType::kOpen] = ENFILE;
  auto opening = loop_.start(ops().open(call(), f, O_RDONLY));
  until([&] { return server_.count(MessageType::kOpen) == 1; });
  server_.fails.clear();
  until([&] { return opening->has_value(); });
  EXPECT_TRUE(**opening);
  EXPECT_EQ(server_.count(MessageType::kOpen), 2u);
  release((*opening)->value());
}

// The server's disk must get the file's space back when the name is removed.
TEST_F(IdleOpensTest, AreClosedBeforeTheNameIsRemoved) {
  add_read("f");
  add_read("g");
  server_.add("new", "");
  lookup("new");
  server_.seen.clear();
  ASSERT_TRUE(loop_.run(ops().unlink(call(), vfs::kRootNode, "f", false)));
  ASSERT_TRUE(loop_.run(ops().rename(call(), vfs::kRootNode, "new", vfs::kRootNode, "g", 0)));
  std::vector<MessageType> order;
  for (const auto& seen : server_.seen) order.push_back(seen.type);
  EXPECT_EQ(order, (std::vector{MessageType::kClose, MessageType::kUnlink, MessageType::kClose,
                                MessageType::kRename}));
}

TEST_F(IdleOpensTest, AreClosedWhenTheKernelForgetsTheFile) {
  const Node node = add_read("f");
  ops().forget(node, 1);
  until([&] { return closed() == 1; });
}

TEST_F(IdleOpensTest, AnotherSessionHasNone) {
  const Node node = add_read("f");
  const std::uint64_t before = session_->incarnation();
  server_.restart();
  until([&] { return session_->incarnation() != before; });
  stat(node);
  EXPECT_FALSE(opens_unasked(node));
}

}  // namespace
}  // namespace foliofs::test
