// Leases of directories: names, their absence, and listings.
#include <cstdio>
#include <random>

#include "tests/unit/vfs/leases_fixture.h"

namespace foliofs::test {
namespace {

// --- Recalled -----------------------------------------------------------------------------------

TEST_F(LeasedNamesTest, ARecallMakesTheNextLookupAskAndTheKernelToo) {
  server_.add("f", "");
  server_.add("g", "");
  lookup("f");
  lookup("g");
  pass(std::chrono::seconds(2));
  rename_there("f", "h");
  server_.recall(7, {{server_.root(), {"f", "h"}}});
  until([&] { return returned(7); });
  EXPECT_EQ(expired("f"), 1u);
  EXPECT_EQ(expired("h"), 1u);
  EXPECT_EQ(expired("g"), 0u);
  EXPECT_EQ(kernel_.expired_listings, std::vector<Node>{vfs::kRootNode});
  EXPECT_EQ(find("f"), "absent");
  EXPECT_EQ(find("h"), "found");
  EXPECT_EQ(find("g"), "found") << "it was seen under another lease";
  EXPECT_EQ(find("g"), "known");
}

TEST_F(LeasedNamesTest, TheKernelForgetsWhereALostDirectoryWas) {
  server_.add("f", "");
  lookup("f");
  mkdir("d");
  server_.recall(7, {{server_.root(), {"d", "f"}}});
  until([&] { return returned(7); });
  ASSERT_EQ(kernel_.expired_names.size(), 2u);
  EXPECT_TRUE(kernel_.expired_names[0].lost_directory);
  EXPECT_FALSE(kernel_.expired_names[1].lost_directory);
}

TEST_F(LeasedNamesTest, NamesAreWaitedForButNotForLong) {
  server_.add("f", "");
  lookup("f");
  kernel_.hold_names = true;
  server_.recall(7, {{server_.root(), {"f"}}});
  loop_.settle();
  EXPECT_FALSE(returned(7));
  pass(std::chrono::milliseconds(501));
  EXPECT_TRUE(returned(7));
  server_.recall(8, {{server_.root(), {"f"}}});
  loop_.settle();
  EXPECT_FALSE(returned(8));
  kernel_.release_names();
  loop_.settle();
  EXPECT_TRUE(returned(8)) << "before time has passed";
}

TEST_F(LeasedNamesTest, NamesAreNotWaitedForWhileAnOwnChangeIsUnderWay) {
  stat(vfs::kRootNode);
  kernel_.hold_names = true;
  server_.hold_requests(MessageType::kMkdir);
  auto making = loop_.start(ops().mkdir(call(), vfs::kRootNode, "d", 0755));
  server_.recall(7, {{server_.root(), {"f"}}});
  loop_.settle();
  EXPECT_TRUE(returned(7));
  EXPECT_EQ(expired("f"), 1u);
  server_.release();
  until([&] { return making->has_value(); });
}

TEST_F(LeasedNamesTest, AnOwnChangeThatBeginsEndsTheWaitForNames) {
  stat(vfs::kRootNode);
  kernel_.hold_names = true;
  server_.recall(7, {{server_.root(), {"f"}}});
  loop_.settle();
  ASSERT_FALSE(returned(7));
  server_.hold_requests(MessageType::kMkdir);
  auto making = loop_.start(ops().mkdir(call(), vfs::kRootNode, "d", 0755));
  loop_.settle();
  EXPECT_TRUE(returned(7));
  server_.release();
  until([&] { return making->has_value(); });
}

TEST_F(LeasedNamesTest, ANameThatWasJustToldIsExpiredAgain) {
  server_.add("f", "");
  server_.add("g", "");
  lookup("g");
  pass(std::chrono::seconds(2));
  lookup("f");
  server_.recall(7, {{server_.root(), {"f", "g"}}});
  until([&] { return returned(7); });
  EXPECT_EQ(expired("f"), 1u);
  pass(std::chrono::seconds(2));
  EXPECT_EQ(expired("f"), 2u);
  EXPECT_EQ(expired("g"), 1u);
}

TEST_F(LeasedNamesTest, AnAnswerFromBeforeTheRecallIsNotBelievedAtAll) {
  server_.add("f", "");
  stat(vfs::kRootNode);
  server_.hold_replies(MessageType::kLookup);
  auto looking = start_lookup("f");
  auto missing = start_lookup("g");
  until([&] { return server_.waiting == 2; });
  rename_there("f", "g");
  server_.recall(7, {{server_.root(), {"f", "g"}}});
  until([&] { return returned(7); });
  server_.release();
  until([&] { return looking->has_value() && missing->has_value(); });
  EXPECT_EQ((*looking)->value().name_timeout_us, Duration::zero());
  EXPECT_EQ((*missing)->value().name_timeout_us, Duration::zero());
  EXPECT_EQ(find("f"), "absent");
  EXPECT_EQ(find("g"), "found");
}

// The reply to LOOKUP gives no lease. A reply that the server sent later, but that arrived earlier,
// does.
TEST_F(LeasedNamesTest, AnAnswerThatGivesNoLeaseIsNotCoveredByAnothersOne) {
  server_.add("f", "");
  stat(vfs::kRootNode);
  kernel_.hold_attributes = true;
  server_.recall(7, {{server_.root(), {"x"}}});
  loop_.settle();
  server_.hold_replies(MessageType::kLookup);
  auto looking = start_lookup("f");
  until([&] { return server_.waiting == 1; });
  kernel_.release_attributes();
  until([&] { return returned(7); });
  rename_there("f", "g");  // this client has no lease of the directory
  stat(vfs::kRootNode);
  ASSERT_EQ(attribute_timeout(vfs::kRootNode), kBelieved);
  server_.release();
  until([&] { return looking->has_value(); });
  EXPECT_LE((*looking)->value().name_timeout_us, options_.actimeo_us);
  EXPECT_EQ(find("f"), "absent");
}

TEST_F(LeasedNamesTest, AnAnswerUnderANameThatTheFileHasNoMoreIsNotBelievedForLong) {
  server_.add("f", "");
  lookup("f");
  server_.hold_replies(MessageType::kLookup);
  auto looking = start_lookup("f");
  until([&] { return server_.waiting == 1; });
  ASSERT_TRUE(rename("f", "g"));
  server_.release();
  until([&] { return looking->has_value(); });
  EXPECT_LE((*looking)->value().name_timeout_us, options_.actimeo_us);
  EXPECT_EQ(find("f"), "absent");
  EXPECT_EQ(find("g"), "found");
}

// --- Absent names -------------------------------------------------------------------------------

TEST_F(LeasedNamesTest, InADirectoryThatWasJustMadeNothingIsAskedFor) {
  const Node directory = mkdir("d");
  pass(kLong);
  server_.seen.clear();
  EXPECT_EQ(find("x", directory), "none");
  EXPECT_EQ(server_.count(MessageType::kLookup), 0u);
  auto made = loop_.run(ops().mkdir(call(), directory, "sub", 0755));
  ASSERT_TRUE(made);
  EXPECT_EQ(find("sub", directory), "known");
  EXPECT_EQ(find("x", directory), "none");
  EXPECT_EQ(find("x"), "absent") << "the root is not known as a whole";
}

TEST_F(LeasedNamesTest, SomebodyElsesChangeMakesItAsk) {
  const Node directory = mkdir("d");
  ASSERT_EQ(find("x", directory), "none");
  ServerFile& there = server_.file("d");
  there.names["x"] = server_.add("elsewhere", "").ino;
  ++there.foreign_changes;
  server_.recall(7, {{there, {"x"}}});
  until([&] { return returned(7); });
  EXPECT_EQ(expired("x"), 1u);
  EXPECT_EQ(find("x", directory), "found");
  EXPECT_EQ(find("y", directory), "absent");
}

TEST_F(LeasedNamesTest, AChangeThatMayHaveBeenMadeMakesItAsk) {
  const Node directory = mkdir("d");
  server_.fails[MessageType::kMkdir] = EIO;
  EXPECT_FALSE(loop_.run(ops().mkdir(call(), directory, "x", 0755)));
  EXPECT_EQ(find("x", directory), "absent");
}

TEST_F(LeasedNamesTest, ANameThatIsForgottenMakesItAsk) {
  const Node directory = mkdir("d");
  auto made = loop_.run(ops().mkdir(call(), directory, "sub", 0755)).value();
  ASSERT_EQ(find("x", directory), "none");
  ops().forget(made.node, 1);
  EXPECT_EQ(find("sub", directory), "found");
  EXPECT_EQ(find("x", directory), "absent");
}

TEST_F(LeasedNamesTest, ADirectoryThatHasAChangeByOthersIsNotTakenForEmpty) {
  server_.hold_replies(MessageType::kMkdir);
  auto making = loop_.start(ops().mkdir(call(), vfs::kRootNode, "d", 0755));
  until([&] { return server_.waiting == 1; });
  ServerFile& there = server_.file("d");
  there.names["x"] = server_.add("elsewhere", "").ino;
  ++there.foreign_changes;
  server_.recall(7, {{there, {"x"}}});
  until([&] { return returned(7); });
  server_.release();
  until([&] { return making->has_value(); });
  EXPECT_EQ(find("x", (*making)->value().node), "found");
}

// The client remembers one name of each inode.
TEST_F(LeasedNamesTest, BothNamesOfAFileInAListingAreThere) {
  ServerFile& file = server_.add("f", "");
  server_.root().names["g"] = file.ino;
  file.nlink = 2;
  list();
  EXPECT_NE(find("f"), "none");
  EXPECT_NE(find("g"), "none");
}

// Another file had its name meanwhile.
TEST_F(LeasedNamesTest, AFileThatHasItsNameBackIsThere) {
  server_.add("a", "");
  server_.add("x", "");
  lookup("x");
  rename_there("x", "y");
  rename_there("a", "x");
  server_.recall(1, {{server_.root(), {"a", "x", "y"}}});
  until([&] { return returned(1); });
  lookup("x");
  rename_there("x", "a");
  rename_there("y", "x");
  server_.recall(2, {{server_.root(), {"a", "x", "y"}}});
  until([&] { return returned(2); });
  list();
  list();  // the first listing has moved names
  EXPECT_NE(find("x"), "none");
  EXPECT_NE(find("a"), "none");
  EXPECT_EQ(find("y"), "none");
}

// --- Own changes --------------------------------------------------------------------------------

TEST_F(LeasedNamesTest, OwnChangesKeepNamesRight) {
  const std::vector<std::string> names = {"a", "b", "c", "d"};
  std::mt19937 random(20261126);
  auto any = [&](std::size_t below) {
    return static_cast<std::size_t>(random() % below);
  };
  const Node nodes[] = {vfs::kRootNode, mkdir("dir")};
  std::size_t from_memory = 0;
  for (int step = 0; step < 3000; ++step) {
    const Node parent = nodes[any(2)], other = nodes[any(2)];
    const std::string name = names[any(names.size())], to = names[any(names.size())];
    switch (any(9)) {
      case 0:
      case 1: {
        auto made = loop_.run(ops().create(call(), parent, name, 0644, O_RDWR | O_CREAT | O_EXCL));
        if (made) release(made.value().opened);
        break;
      }
      case 2:
        (void)loop_.run(ops().unlink(call(), parent, name, false));
        break;
      case 3:
        (void)loop_.run(ops().rename(call(), parent, name, other, to, 0));
        break;
      case 4:
        (void)loop_.run(ops().rename(call(), parent, name, other, to, RENAME_EXCHANGE));
        break;
      case 5:
      case 6: {
        auto entry = loop_.run(ops().lookup(call(), parent, name));
        if (!entry || entry.value().node == 0) break;
        if (any(3) == 0) ops().forget(entry.value().node, 1'000'000);
        (void)loop_.run(ops().link(call(), entry.value().node, other, to));
        break;
      }
      default:
        list(parent);
    }
    for (const std::string& looked_up : names) {
      for (const Node at : nodes) {
        const auto known = ops().try_lookup(at, looked_up);
        if (!known) continue;
        ++from_memory;
        const auto& there = (at == vfs::kRootNode ? server_.root() : server_.file("dir")).names;
        auto found = there.find(looked_up);
        ASSERT_EQ(known->node != 0, found != there.end()) << step << ' ' << looked_up;
        if (known->node == 0) continue;
        ASSERT_EQ(known->attributes.ino, found->second) << step << ' ' << looked_up;
        ASSERT_EQ(known->attributes.nlink, server_.file_of(found->second).nlink) << step;
      }
    }
  }
  EXPECT_GT(from_memory, 3000u);
}

TEST_F(LeasedNamesTest, AMovedFileIsThereAlthoughNobodyKnowsWhichItWas) {
  ServerFile& file = server_.add("f", "");
  server_.root().names["g"] = file.ino;
  file.nlink = 2;
  lookup("f");
  lookup("g");  // from here on, the client knows the file by this name
  const Node directory = mkdir("d");
  ASSERT_EQ(find("f", directory), "none");
  server_.fails[MessageType::kLookup] = EIO;
  ASSERT_TRUE(rename("f", "f", directory));
  server_.fails.clear();
  EXPECT_EQ(find("f", directory), "found");
}

TEST_F(LeasedNamesTest, AChangeThatFailsLeavesNothingOfTheDirectoryKnown) {
  server_.add("f", "");
  lookup("f");
  server_.fails[MessageType::kUnlink] = EIO;
  EXPECT_FALSE(unlink("f"));
  EXPECT_FALSE(is_known(vfs::kRootNode));
  EXPECT_EQ(find("f"), "found") << "its link count may be another one";
  server_.fails.clear();
  ASSERT_TRUE(unlink("f"));
  EXPECT_EQ(find("f"), "absent");
}

// The kernel may cache the first name for long, but the client does not remember that name, so a
// recall could not expire it.
TEST_F(LeasedNamesTest, TheKernelForgetsAFilesEarlierNameWhenItIsKnownByAnother) {
  server_.add("f", "");
  const Node node = lookup("f");
  ASSERT_TRUE(loop_.run(ops().link(call(), node, vfs::kRootNode, "g")));
  loop_.settle();
  EXPECT_EQ(expired("f"), 1u);
  find("f");
  find("g");
  find("f");
  loop_.settle();
  EXPECT_EQ(kernel_.expired_names.size(), 1u) << "it believes neither for long";
  ASSERT_TRUE(rename("f", "h"));
  loop_.settle();
  EXPECT_EQ(kernel_.expired_names.size(), 1u) << "it has moved that itself";
}

// The kernel moves the file that it knew as f, which need not be the one that the server renamed.
TEST_F(LeasedNamesTest, WhereARenameMayHaveMovedAnotherFileTheKernelAsks) {
  server_.add("f", "");
  ASSERT_EQ(find("f"), "found");
  server_.gives_leases = false;
  ASSERT_TRUE(rename("f", "g"));
  loop_.settle();
  EXPECT_EQ(expired("g"), 1u);
}

// Another client puts another file at the old name before the server executes the rename.
// SEMANTICS: leases-are-exact
TEST_F(LeasedNamesTest, ARenameMovesWhatHasTheNameThen) {
  server_.add("f", "old");
  const Node old = lookup("f");
  list();
  server_.hold_requests(MessageType::kRename);
  auto renaming = loop_.start(ops().rename(call(), vfs::kRootNode, "f", vfs::kRootNode, "g", 0));
  until([&] { return server_.waiting == 1; });
  rename_there("f", "elsewhere");
  server_.add("f", "new");
  server_.recall(7, {{server_.root(), {"f", "elsewhere"}}});
  until([&] { return returned(7); });
  server_.release();
  until([&] { return renaming->has_value(); });
  ASSERT_TRUE(**renaming);
  const Node moved = lookup("g");
  EXPECT_NE(moved, old);
  EXPECT_EQ(read(open(moved)), "new");
}

}  // namespace
}  // namespace foliofs::test
