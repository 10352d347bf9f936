// Leases of directories: when a listing is known to be complete, and which listings the kernel
// keeps.
#include <cstdio>
#include <random>

#include "tests/unit/vfs/leases_fixture.h"

namespace foliofs::test {
namespace {

TEST_F(LeasedNamesTest, AfterAWholeListingNothingIsAskedFor) {
  server_.add("a", "");
  server_.add("b", "");
  auto read = list();
  pass(kLong);
  EXPECT_EQ(find("a"), "known");
  EXPECT_EQ(find("x"), "none");
  server_.recall(7, {{server_.root(), {"x"}}});
  until([&] { return returned(7); });
  EXPECT_EQ(find("x"), "absent");
}

class LongListingTest : public LeasedNamesTest {
 protected:
  void SetUp() override {
    LeasedNamesTest::SetUp();
    for (const char* name : {"a", "b", "c", "d"}) server_.add(name, "");
    server_.most_entries = 2;
    stat(vfs::kRootNode);
  }
  // Reads one reply after `cookie`. Returns the cookie for the next one, or nothing at the end.
  std::optional<std::uint64_t> read_on(std::uint64_t cookie) {
    auto directory = ops().open_directory(vfs::kRootNode).value().directory;
    auto read = loop_.run(ops().read_directory(call(), directory, cookie, true)).value();
    ops().release_directory(directory.get());
    if (read.end) return std::nullopt;
    return read.entries.back().cookie;
  }
  void read_to_the_end(std::optional<std::uint64_t> cookie) {
    while (cookie) cookie = read_on(*cookie);
  }
};

TEST_F(LongListingTest, IsWholeAtItsEnd) {
  const auto next = read_on(0);
  EXPECT_EQ(find("x"), "absent");
  read_to_the_end(next);
  EXPECT_EQ(find("x"), "none");
  EXPECT_EQ(find("d"), "known");
}

TEST_F(LongListingTest, IsWholeAlthoughThisClientMakesNamesMeanwhile) {
  const auto next = read_on(0);
  mkdir("made");
  read_to_the_end(next);
  EXPECT_EQ(find("x"), "none");
  EXPECT_EQ(find("made"), "known");
}

TEST_F(LongListingTest, IsNotWholeWithoutItsBeginning) {
  read_to_the_end(2);
  EXPECT_EQ(find("x"), "absent");
}

TEST_F(LongListingTest, IsNotWholeAfterARecallInTheMiddle) {
  const auto next = read_on(0);
  rename_there("a", "e");
  server_.recall(7, {{server_.root(), {"a", "e"}}});
  until([&] { return returned(7); });
  stat(vfs::kRootNode);
  read_to_the_end(next);
  EXPECT_EQ(find("x"), "absent");
}

TEST_F(LongListingTest, IsNotWholeWhereTheKernelForgetsAFileMeanwhile) {
  const auto next = read_on(0);
  ops().forget(ops().try_lookup(vfs::kRootNode, "a")->node, 2);
  read_to_the_end(next);
  EXPECT_EQ(find("x"), "absent");
  EXPECT_EQ(find("a"), "found");
}

// If the server's filesystem takes the index of an entry as its cookie, the next reply begins one
// entry too late.
TEST_F(LongListingTest, IsNotWholeAfterARemovalInTheMiddle) {
  const auto next = read_on(0);
  ASSERT_TRUE(unlink("a"));
  read_to_the_end(next);
  EXPECT_EQ(find("x"), "absent");
}

TEST_F(LongListingTest, IsNotWholeAfterAMoveInTheMiddle) {
  const auto next = read_on(0);
  ASSERT_TRUE(rename("a", "moved"));
  read_to_the_end(next);
  EXPECT_EQ(find("x"), "absent");
  EXPECT_EQ(find("moved"), "known");
}

// The client remembers only the last name of a file that it has seen.
TEST_F(LongListingTest, IsNotWholeWhereANameIsForgottenWhileAReplyIsTaken) {
  server_.change("b", "old");
  const Node elsewhere = mkdir("elsewhere");
  server_.most_entries = 100;
  read_to_the_end(0);
  ASSERT_EQ(find("x"), "none");
  const Node a = lookup("a"), b = lookup("b");
  auto opened = open(b);
  ASSERT_EQ(read(opened), "old");
  server_.change("b", "by others");
  kernel_.hold = true;
  auto directory = ops().open_directory(vfs::kRootNode).value().directory;
  auto reading = loop_.start(ops().read_directory(call(), directory, 0, true));
  until([&] { return kernel_.waiting == 1; });
  ASSERT_TRUE(loop_.run(ops().link(call(), a, elsewhere, "linked")));
  kernel_.release();
  until([&] { return reading->has_value(); });
  EXPECT_EQ(find("x"), "absent");
  EXPECT_EQ(find("a"), "found");
  ops().release_directory(directory.get());
  release(opened);
}

// The old names are known to be absent.
TEST_F(LongListingTest, StaysWholeThroughOwnRemovalsAndMoves) {
  read_to_the_end(0);
  ASSERT_TRUE(unlink("a"));
  ASSERT_TRUE(rename("b", "moved"));
  ASSERT_TRUE(rename("moved", "c"));
  ASSERT_TRUE(rename("d", "e", vfs::kRootNode, RENAME_NOREPLACE));
  for (const char* name : {"a", "b", "moved", "d", "x"}) EXPECT_EQ(find(name), "none") << name;
  for (const char* name : {"c", "e"}) EXPECT_EQ(find(name), "found") << name;
}

TEST_F(LongListingTest, DoesNotStayWholeThroughAnExchange) {
  read_to_the_end(0);
  ASSERT_TRUE(rename("a", "b", vfs::kRootNode, RENAME_EXCHANGE));
  EXPECT_EQ(find("x"), "absent");
}

TEST_F(LeasedNamesTest, AListingThatARecallHasOvertakenIsNotWhole) {
  server_.add("a", "");
  stat(vfs::kRootNode);
  auto directory = ops().open_directory(vfs::kRootNode).value().directory;
  auto reading = start_listing(directory);
  server_.add("new", "");
  ++server_.root().foreign_changes;
  server_.recall(7, {{server_.root(), {"new"}}});
  until([&] { return returned(7); });
  stat(vfs::kRootNode);
  server_.release();
  until([&] { return reading->has_value(); });
  EXPECT_EQ(find("new"), "found");
  ops().release_directory(directory.get());
}

TEST_F(LeasedNamesTest, AListingFromBeforeAllWereVoidIsNotWhole) {
  server_.add("a", "");
  stat(vfs::kRootNode);
  auto directory = ops().open_directory(vfs::kRootNode).value().directory;
  auto reading = start_listing(directory);
  server_.recall_everything();
  loop_.settle();
  server_.add("new", "");
  ++server_.root().foreign_changes;
  stat(vfs::kRootNode);
  ASSERT_EQ(attribute_timeout(vfs::kRootNode), kBelieved);
  server_.release();
  until([&] { return reading->has_value(); });
  EXPECT_EQ(find("new"), "found");
  ops().release_directory(directory.get());
}

TEST_F(LeasedNamesTest, TheKernelKeepsAListingUnderALease) {
  auto before = ops().open_directory(vfs::kRootNode).value();
  EXPECT_FALSE(before.cache_listing) << "there is no lease yet";
  stat(vfs::kRootNode);
  auto first = ops().open_directory(vfs::kRootNode).value();
  EXPECT_TRUE(first.cache_listing);
  EXPECT_FALSE(first.keep_listing);
  auto second = ops().open_directory(vfs::kRootNode).value();
  EXPECT_TRUE(second.cache_listing);
  EXPECT_TRUE(second.keep_listing);
  for (auto& opened : {before, first, second}) ops().release_directory(opened.directory.get());
}

TEST_F(LeasedNamesTest, AStreamFromAnotherLeasesTimeForbidsToKeepAListing) {
  stat(vfs::kRootNode);
  auto old = ops().open_directory(vfs::kRootNode).value();
  server_.recall(7, {{server_.root(), {"x"}}});
  until([&] { return returned(7); });
  EXPECT_EQ(kernel_.expired_listings, std::vector<Node>{vfs::kRootNode});
  auto without = ops().open_directory(vfs::kRootNode).value();
  EXPECT_FALSE(without.cache_listing);
  stat(vfs::kRootNode);
  auto beside = ops().open_directory(vfs::kRootNode).value();
  EXPECT_FALSE(beside.cache_listing);
  for (auto& opened : {old, without, beside}) ops().release_directory(opened.directory.get());
  auto alone = ops().open_directory(vfs::kRootNode).value();
  EXPECT_TRUE(alone.cache_listing);
  EXPECT_FALSE(alone.keep_listing);
  ops().release_directory(alone.directory.get());
}

TEST_F(LeasedNamesTest, AListingThatTheKernelKeepsGoesWhenAllAreVoid) {
  stat(vfs::kRootNode);
  auto opened = ops().open_directory(vfs::kRootNode).value();
  ops().release_directory(opened.directory.get());
  server_.recall_everything();
  loop_.settle();
  EXPECT_EQ(kernel_.expired_listings, std::vector<Node>{vfs::kRootNode});
  EXPECT_FALSE(ops().open_directory(vfs::kRootNode).value().cache_listing);
}

TEST_F(LeasedNamesTest, AnEntryThatIsHandedOutLateIsBelievedForLongOnlyUnderItsSoleName) {
  ServerFile& file = server_.add("f", "");
  server_.add("s", "");
  server_.root().names["g"] = file.ino;
  file.nlink = 2;
  auto directory = ops().open_directory(vfs::kRootNode).value().directory;
  auto read = loop_.run(ops().read_directory(call(), directory, 0, true)).value();
  pass(std::chrono::seconds(10));
  for (auto& entry : read.entries) {
    ops().refresh(*directory, entry);
    if (!entry.entry) continue;
    const bool sole = entry.name == "s";
    EXPECT_EQ(entry.entry->name_timeout_us, sole ? kBelieved : Duration::zero()) << entry.name;
  }
  EXPECT_TRUE(read.entries.back().entry);
  ops().release_directory(directory.get());
}

TEST_F(LeasedNamesTest, AListingThatCameWithoutALeaseIsNoWhole) {
  server_.gives_leases = false;
  server_.add("f", "");
  auto listing = start_listing(ops().open_directory(vfs::kRootNode).value().directory);
  server_.gives_leases = true;
  stat(vfs::kRootNode);
  server_.add("n", "");
  server_.release();
  until([&] { return listing->has_value(); });
  EXPECT_EQ(find("n"), "found");
}

}  // namespace
}  // namespace foliofs::test
