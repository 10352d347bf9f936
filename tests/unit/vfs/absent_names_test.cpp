// Names that do not exist: how long the kernel may cache their absence, and how it learns that a
// name has come into being.
#include "src/vfs/absent_names.h"

#include "tests/unit/vfs/leases_fixture.h"

namespace foliofs::test {
namespace {

class AbsentNamesTest : public LeasesTest {
 protected:
  // For how long the kernel may cache the absence of this name in the root.
  Duration told_for(const std::string& name) {
    auto entry = ops().try_lookup(vfs::kRootNode, name);
    if (!entry) entry = loop_.run(ops().lookup(call(), vfs::kRootNode, name)).value();
    EXPECT_EQ(entry->node, 0u) << name;
    return entry->name_timeout_us;
  }
  std::size_t lookups() const { return server_.count(MessageType::kLookup); }
  static constexpr Duration kAlwaysAsks = Duration::zero();
};

TEST_F(AbsentNamesTest, AreBelievedForLongUnderALeaseOfTheirDirectory) {
  EXPECT_EQ(told_for("n"), kBelieved);
  EXPECT_TRUE(is_known(vfs::kRootNode)) << "the reply tells of the directory";
}

TEST_F(AbsentNamesTest, AreBelievedForLongWhereAllNamesAreKnown) {
  list();
  EXPECT_EQ(told_for("n"), kBelieved);
  EXPECT_EQ(lookups(), 0u);
  server_.recall_everything();
  until([&] { return expired("n") == 1; });
}

// SEMANTICS: leases-are-exact
TEST_F(AbsentNamesTest, OneThatSomebodyMakesIsAskedForAgain) {
  told_for("n");
  told_for("other");
  pass(std::chrono::seconds(2));
  server_.add("n", "");
  server_.recall(7, {{server_.root(), {"n"}}});
  until([&] { return returned(7); });
  EXPECT_EQ(expired("n"), 1u);
  EXPECT_EQ(expired("other"), 0u);
  EXPECT_EQ(find("n"), "found");
}

TEST_F(AbsentNamesTest, WithoutALeaseEachLookupAsks) {
  server_.gives_leases = false;
  EXPECT_EQ(told_for("n"), kAlwaysAsks);
}

TEST_F(AbsentNamesTest, AServerThatCannotSaySoIsAskedEachTime) {
  server_.fails[MessageType::kLookup] = ENOENT;
  EXPECT_EQ(told_for("n"), kAlwaysAsks);
}

TEST_F(AbsentNamesTest, AnAnswerThatAnOwnChangeHasOvertakenIsNotBelieved) {
  server_.hold_replies(MessageType::kLookup);
  auto looking = loop_.start(ops().lookup(call(), vfs::kRootNode, "n"));
  until([&] { return server_.waiting == 1; });
  mkdir("n");
  server_.release();
  until([&] { return looking->has_value(); });
  EXPECT_EQ((*looking)->value().name_timeout_us, kAlwaysAsks);
}

TEST_F(AbsentNamesTest, AllAreAskedForAgainWhenAllLeasesAreVoid) {
  told_for("n");
  told_for("m");
  server_.recall_everything();
  until([&] { return expired("n") == 1 && expired("m") == 1; });
  server_.recall_everything();
  loop_.settle();
  EXPECT_EQ(expired("n"), 1u) << "of this one the kernel knows nothing any more";
}

TEST_F(AbsentNamesTest, OneThatAFailedChangeMayHaveMadeIsAskedForAgain) {
  server_.add("f", "");
  lookup("f");
  for (const char* name : {"made", "opened", "renamed"}) told_for(name);
  for (auto type : {MessageType::kMkdir, MessageType::kCreate, MessageType::kRename}) {
    server_.fails[type] = EIO;
  }
  EXPECT_FALSE(loop_.run(ops().mkdir(call(), vfs::kRootNode, "made", 0755)));
  EXPECT_FALSE(loop_.run(ops().mkdir(call(), vfs::kRootNode, "unknown", 0755)));
  EXPECT_FALSE(loop_.run(ops().create(call(), vfs::kRootNode, "opened", 0644, O_RDWR)));
  EXPECT_FALSE(loop_.run(ops().rename(call(), vfs::kRootNode, "f", vfs::kRootNode, "renamed", 0)));
  loop_.settle();
  for (const char* name : {"made", "opened", "renamed"}) EXPECT_EQ(expired(name), 1u) << name;
  EXPECT_EQ(expired("unknown"), 0u);
}

// If the caller of a change gets EINTR, the kernel leaves its dentry of the name as it was.
TEST_F(AbsentNamesTest, OneThatIsMadeAfterItsCallerHasGoneIsAskedForAgain) {
  server_.add("f", "");
  lookup("f");
  for (const char* name : {"made", "opened", "renamed"}) told_for(name);
  server_.hold_replies(MessageType::kMkdir);
  server_.hold_replies(MessageType::kCreate);
  server_.hold_replies(MessageType::kRename);
  bool gone = false;
  vfs::Call caller = call();
  caller.abandoned = [&] {
    return gone;
  };
  auto making = loop_.start(ops().mkdir(caller, vfs::kRootNode, "made", 0755));
  auto opening = loop_.start(ops().create(caller, vfs::kRootNode, "opened", 0644, O_RDWR));
  auto moving =
      loop_.start(ops().rename(caller, vfs::kRootNode, "f", vfs::kRootNode, "renamed", 0));
  until([&] { return server_.waiting == 3; });
  gone = true;
  server_.release();
  until([&] { return making->has_value() && opening->has_value() && moving->has_value(); });
  ASSERT_TRUE(**making && **opening && **moving);
  for (const char* name : {"made", "opened", "renamed"}) EXPECT_EQ(expired(name), 1u) << name;
  EXPECT_EQ(expired("f"), 1u) << "which is not there any more";
}

TEST_F(AbsentNamesTest, OneThatIsRemovedAfterItsCallerHasGoneIsAskedForAgain) {
  server_.add("f", "");
  lookup("f");
  server_.hold_replies(MessageType::kUnlink);
  bool gone = false;
  vfs::Call caller = call();
  caller.abandoned = [&] {
    return gone;
  };
  auto removing = loop_.start(ops().unlink(caller, vfs::kRootNode, "f", false));
  until([&] { return server_.waiting == 1; });
  gone = true;
  EXPECT_EQ(find("f"), "known") << "nothing says yet that it is gone";
  server_.release();
  until([&] { return removing->has_value(); });
  EXPECT_EQ(expired("f"), 1u);
  EXPECT_EQ(find("f"), "absent");
}

TEST_F(AbsentNamesTest, OneThatThisClientMakesIsNotExpired) {
  told_for("made");
  mkdir("made");
  server_.recall_everything();
  until([&] { return expired("made") != 0; });
  loop_.settle();
  EXPECT_EQ(expired("made"), 1u) << "as a name that is there";
}

TEST_F(AbsentNamesTest, AKernelThatCannotBeToldOfThemAsksEachTime) {
  kernel_.forgets_absent_names = false;
  EXPECT_EQ(told_for("n"), kAlwaysAsks);
  list();
  EXPECT_EQ(told_for("n"), kAlwaysAsks);
}

TEST_F(AbsentNamesTest, WhatIsTooMuchToRememberIsAskedForEachTime) {
  list();
  for (std::size_t i = 0; i < vfs::AbsentNames::kMost; ++i) {
    ASSERT_EQ(told_for("n" + std::to_string(i)), kBelieved);
  }
  EXPECT_EQ(told_for("more"), kAlwaysAsks);
  EXPECT_EQ(told_for("n7"), kBelieved) << "as before";
  pass(kBelieved);
  list();
  EXPECT_EQ(told_for("more"), kBelieved) << "the kernel asks for the others again by now";
}

}  // namespace
}  // namespace foliofs::test
