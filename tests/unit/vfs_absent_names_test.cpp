// Names that are not there: how long the kernel may believe that, and how it learns that it no
// longer is so.
#include "src/vfs/absent_names.h"
#include "tests/unit/vfs_leases_fixture.h"

namespace foliofs::test {
namespace {

class AbsentNamesTest : public LeasesTest {
 protected:
  // What the kernel is told of a name in the root that is not there, and for how long.
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

// A program may take the answer only after the recall.
TEST_F(AbsentNamesTest, OneThatWasJustToldIsExpiredAgain) {
  told_for("earlier");
  pass(std::chrono::seconds(2));
  told_for("just now");
  server_.recall(7, {{server_.root(), {"earlier", "just now"}}});
  until([&] { return returned(7); });
  pass(std::chrono::seconds(2));
  EXPECT_EQ(expired("earlier"), 1u);
  EXPECT_EQ(expired("just now"), 2u);
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

// --- AbsentNames --------------------------------------------------------------------------------

constexpr TimePoint at(int seconds) {
  return TimePoint() + std::chrono::seconds(seconds);
}

TEST(AbsentNamesRemembered, TheOneToldLongestAgoGivesWay) {
  vfs::AbsentNames names(2);
  EXPECT_FALSE(names.told({1, "a"}, at(1)));
  EXPECT_FALSE(names.told({2, "a"}, at(2)));
  EXPECT_FALSE(names.told({1, "a"}, at(3)));
  EXPECT_EQ(names.told({1, "b"}, at(4)), (vfs::KernelName{2, "a"}));
  EXPECT_EQ(names.when_told({1, "a"}), at(3));
  EXPECT_FALSE(names.when_told({2, "a"}));
}

TEST(AbsentNamesRemembered, AreTakenOnce) {
  vfs::AbsentNames names;
  names.told({1, "a"}, at(1));
  names.told({1, "b"}, at(1));
  EXPECT_EQ(names.take_all().size(), 2u);
  EXPECT_TRUE(names.take_all().empty());
  EXPECT_FALSE(names.when_told({1, "a"}));
}

}  // namespace
}  // namespace foliofs::test
