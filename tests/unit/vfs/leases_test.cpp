// Leases of attributes and data: what the client answers from memory under them, and how they end.
#include "tests/unit/vfs/leases_fixture.h"

namespace foliofs::test {
namespace {

// --- Held ---------------------------------------------------------------------------------------

TEST_F(LeasesTest, WhatIsLeasedIsAnsweredFromMemoryForLong) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  pass(kLong);
  server_.seen.clear();
  EXPECT_EQ(find("f"), "known");
  EXPECT_EQ(ops().try_getattr(node, true)->size, 4u);
  EXPECT_TRUE(is_known(vfs::kRootNode)) << "a lookup tells of the directory too";
  EXPECT_EQ(server_.count(MessageType::kGetAttr) + server_.count(MessageType::kLookup), 0u);
}

TEST_F(LeasesTest, TheKernelMayBelieveWhatIsLeasedForLong) {
  server_.add("f", "");
  auto entry = loop_.run(ops().lookup(call(), vfs::kRootNode, "f")).value();
  EXPECT_EQ(entry.name_timeout_us, kBelieved);
  EXPECT_EQ(entry.attribute_timeout_us, kBelieved);
  EXPECT_EQ(attribute_timeout(entry.node), kBelieved);
  entry = *ops().try_lookup(vfs::kRootNode, "f");
  EXPECT_EQ(entry.name_timeout_us, kBelieved);
  EXPECT_EQ(entry.attribute_timeout_us, kBelieved);
}

TEST_F(LeasesTest, WithoutALeaseNothingIsBelievedLongerThanActimeo) {
  server_.add("f", "");
  server_.gives_leases = false;
  auto entry = loop_.run(ops().lookup(call(), vfs::kRootNode, "f")).value();
  EXPECT_EQ(entry.name_timeout_us, options_.actimeo_us);
  EXPECT_EQ(entry.attribute_timeout_us, options_.actimeo_us);
  expire();
  EXPECT_FALSE(is_known(entry.node));
  EXPECT_EQ(find("f"), "found");
}

TEST_F(LeasesTest, AReplyWithoutALeaseEndsIt) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.gives_leases = false;
  auto directory = list();
  EXPECT_EQ(attribute_timeout(node), options_.actimeo_us);
}

TEST_F(LeasesTest, OfAFileWithSeveralNamesNoneIsBelievedForLong) {
  ServerFile& file = server_.add("f", "");
  server_.root().names["g"] = file.ino;
  file.nlink = 2;
  auto entry = loop_.run(ops().lookup(call(), vfs::kRootNode, "f")).value();
  EXPECT_EQ(entry.name_timeout_us, options_.actimeo_us);
  EXPECT_EQ(entry.attribute_timeout_us, kBelieved);
}

// --- Recalled -----------------------------------------------------------------------------------

TEST_F(LeasesTest, ARecallMakesTheNextStatAsk) {
  server_.add("f", "old");
  const Node node = lookup("f");
  server_.change("f", "newer");
  server_.recall(7, {{server_.file("f"), {}}});
  until([&] { return returned(7); });
  EXPECT_FALSE(is_known(node));
  EXPECT_EQ(attribute_timeout(node), Duration::zero());
  EXPECT_TRUE(is_expired(node));
  EXPECT_EQ(stat(node).size, 5u);
  EXPECT_EQ(attribute_timeout(node), kBelieved) << "there is a new lease";
  EXPECT_TRUE(is_known(vfs::kRootNode)) << "of which nothing was said";
}

TEST_F(LeasesTest, ARecallIsReturnedOnceTheKernelBelievesNothing) {
  server_.add("f", "");
  const Node node = lookup("f");
  kernel_.hold_attributes = true;
  server_.recall(7, {{server_.file("f"), {}}});
  pass(std::chrono::seconds(3));
  EXPECT_FALSE(returned(7));
  EXPECT_FALSE(is_known(node));
  stat(node);
  EXPECT_EQ(attribute_timeout(node), Duration::zero()) << "it may be from before the change";
  kernel_.release_attributes();
  until([&] { return returned(7); });
  stat(node);
  EXPECT_EQ(attribute_timeout(node), kBelieved);
}

TEST_F(LeasesTest, AReplyFromBeforeTheRecallGivesNoLease) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.recall(1, {{server_.file("f"), {}}});
  until([&] { return returned(1); });
  server_.hold_replies(MessageType::kGetAttr);
  auto asking = loop_.start(ops().getattr(call(), node, nullptr));
  server_.recall(2, {{server_.file("f"), {}}});
  until([&] { return returned(2); });
  server_.release();
  until([&] { return asking->has_value(); });
  server_.seen.clear();
  EXPECT_EQ(stat(node).size, 0u);
  EXPECT_EQ(server_.count(MessageType::kGetAttr), 1u);
}

TEST_F(LeasesTest, ARecallOfAFileThatIsNotKnownYetMakesItsReplyVoid) {
  server_.add("f", "old");
  server_.hold_replies(MessageType::kLookup);
  auto looking = loop_.start(ops().lookup(call(), vfs::kRootNode, "f"));
  until([&] { return server_.waiting == 1; });
  server_.change("f", "newer");
  server_.recall(7, {{server_.file("f"), {}}});
  until([&] { return returned(7); });
  server_.release();
  until([&] { return looking->has_value(); });
  const vfs::Entry entry = (*looking)->value();
  EXPECT_EQ(entry.attribute_timeout_us, Duration::zero());
  EXPECT_FALSE(is_known(entry.node));
  EXPECT_EQ(stat(entry.node).size, 5u);
  EXPECT_EQ(attribute_timeout(entry.node), kBelieved);
}

TEST_F(LeasesTest, AnOlderReplyThatWasAskedForAfterTheRecallIsNotBelieved) {
  ServerFile& file = server_.add("f", "");
  const Node node = lookup("f");
  ++file.foreign_changes;
  server_.recall(7, {{file, {}}});
  until([&] { return returned(7); });
  --file.foreign_changes;  // as if a thread of the server had read the attributes earlier
  stat(node);
  EXPECT_FALSE(is_known(node));
  ++file.foreign_changes;
  stat(node);
  EXPECT_TRUE(is_known(node));
}

TEST_F(LeasesTest, AnOwnChangeDuringARecallIsNotBelieved) {
  server_.add("f", "");
  const Node node = lookup("f");
  vfs::AttributeChange change;
  change.valid = proto::kSetMode;
  change.mode = 0600;
  server_.hold_replies(MessageType::kSetAttr);
  auto setting = loop_.start(ops().setattr(call(), node, change, nullptr));
  until([&] { return server_.waiting == 1; });
  server_.change("f", "longer");
  server_.recall(7, {{server_.file("f"), {}}});
  until([&] { return returned(7); });
  server_.release();
  until([&] { return setting->has_value(); });
  EXPECT_FALSE(is_known(node));
  EXPECT_EQ(stat(node).size, 6u);
}

TEST_F(LeasesTest, AnOwnChangeUnderALeaseIsKnown) {
  server_.add("f", "");
  const Node node = lookup("f");
  vfs::AttributeChange change;
  change.valid = proto::kSetMode;
  change.mode = 0600;
  ASSERT_TRUE(loop_.run(ops().setattr(call(), node, change, nullptr)));
  pass(kLong);
  EXPECT_EQ(ops().try_getattr(node, true)->mode, S_IFREG | 0600u);
  EXPECT_EQ(attribute_timeout(node), kBelieved);
}

// The server's clock was set back, so its timestamps do not tell which reply is newer.
TEST_F(LeasesTest, AnOwnChangeWithAnEarlierStampIsNotHiddenForLong) {
  ServerFile& file = server_.add("f", "");
  file.ctime_ns += 1'000'000'000;
  const Node node = lookup("f");
  vfs::AttributeChange change;
  change.valid = proto::kSetMode;
  change.mode = 0600;
  ASSERT_TRUE(loop_.run(ops().setattr(call(), node, change, nullptr)));
  expire();
  EXPECT_EQ(stat(node).mode, S_IFREG | 0600u);
}

// --- All ----------------------------------------------------------------------------------------

TEST_F(LeasesTest, WhenAllAreVoidNothingIsBelieved) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.recall_everything();
  until([&] { return is_expired(node) && expired("f") == 1; });
  EXPECT_FALSE(is_known(node));
  EXPECT_FALSE(is_known(vfs::kRootNode));
  EXPECT_EQ(find("f"), "found");
  EXPECT_EQ(attribute_timeout(node), kBelieved);
  EXPECT_TRUE(server_.returned.empty()) << "nobody waits for it";
}

TEST_F(LeasesTest, WhatWasAskedForBeforeAllWereVoidIsNotBelieved) {
  server_.add("f", "old");
  const Node node = lookup("f");
  server_.recall_everything();
  until([&] { return is_expired(node); });
  server_.hold_replies(MessageType::kGetAttr);
  auto asking = loop_.start(ops().getattr(call(), node, nullptr));
  until([&] { return server_.waiting == 1; });
  server_.recall_everything();
  loop_.settle();
  server_.release();
  until([&] { return asking->has_value(); });
  EXPECT_FALSE(is_known(node));
}

// The kernel has got attributes under a new lease since the first of the two recalls.
TEST_F(LeasesTest, WhatIsLeasedAgainMeanwhileIsExpiredAllTheSame) {
  server_.add("f", "");
  server_.add("g", "");
  lookup("f");
  stat(vfs::kRootNode);
  kernel_.hold_names = true;
  server_.recall_everything();
  until([&] { return is_expired(vfs::kRootNode); });
  stat(vfs::kRootNode);
  ASSERT_EQ(attribute_timeout(vfs::kRootNode), kBelieved);
  server_.recall_everything();
  loop_.settle();
  lookup("g");  // brings a lease of the root, but the kernel gets no attributes of the root
  kernel_.expired.clear();
  kernel_.release_names();
  pass(std::chrono::seconds(2));
  EXPECT_TRUE(is_expired(vfs::kRootNode));
}

TEST_F(LeasesTest, ALostConnectionMakesAllVoidAndTheServerIsTold) {
  server_.add("f", "");
  const Node node = lookup("f");
  kernel_.hold_attributes = true;
  server_.lose_connection();
  pass(std::chrono::seconds(3));
  EXPECT_FALSE(is_known(node));
  EXPECT_TRUE(is_expired(node));
  EXPECT_EQ(returned_everything(), 0u) << "the kernel still believes it";
  kernel_.release_attributes();
  until([&] { return returned_everything() == 1; });
  EXPECT_EQ(expired("f"), 1u);
  loop_.settle();
  stat(node);
  EXPECT_EQ(attribute_timeout(node), kBelieved);
}

TEST_F(LeasesTest, AnAnswerThatComesAgainAfterALostConnectionGivesNoLease) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.recall(1, {{server_.file("f"), {}}});
  until([&] { return returned(1); });
  server_.hold_replies(MessageType::kGetAttr);
  auto asking = loop_.start(ops().getattr(call(), node, nullptr));
  until([&] { return server_.waiting == 1; });
  server_.lose_connection();
  until([&] { return returned_everything() == 1; });
  server_.release();
  until([&] { return asking->has_value(); });
  EXPECT_EQ(server_.count(MessageType::kGetAttr), 1u);
  EXPECT_FALSE(is_known(node));
}

TEST_F(LeasesTest, ASilentServerIsNotBelievedAnyMore) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.hold_requests(MessageType::kPing);
  server_.hold_requests(MessageType::kReturnLeases);
  pass(std::chrono::seconds(5));
  EXPECT_TRUE(is_known(node));
  pass(std::chrono::seconds(4));
  EXPECT_FALSE(is_known(node));
  EXPECT_TRUE(is_expired(node));
  EXPECT_EQ(expired("f"), 1u);
  server_.release();
  until([&] { return returned_everything() != 0; });
  pass(std::chrono::seconds(1));
  stat(node);
  EXPECT_EQ(attribute_timeout(node), kBelieved);
}

// The server counts that lease as returned with all the others.
TEST_F(LeasesTest, ALeaseThatIsGivenBeforeEverythingIsReturnedIsNotTaken) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.hold_requests(MessageType::kPing);
  server_.hold_requests(MessageType::kReturnLeases);
  pass(std::chrono::seconds(9));
  server_.hold_replies(MessageType::kGetAttr);
  auto asking = loop_.start(ops().getattr(call(), node, nullptr));
  until([&] { return server_.count(MessageType::kGetAttr) == 1; });
  EXPECT_EQ(returned_everything(), 0u);
  server_.release();
  until([&] { return asking->has_value(); });
  EXPECT_LE(attribute_timeout(node), options_.actimeo_us);
  until([&] { return returned_everything() != 0; });
  EXPECT_LE(attribute_timeout(node), options_.actimeo_us);
  pass(std::chrono::seconds(1));
  stat(node);
  EXPECT_EQ(attribute_timeout(node), kBelieved);
}

TEST_F(LeasesTest, ANewSessionsLeasesAreTakenOnceTheOldOnesAreReturned) {
  server_.add("f", "");
  const Node node = lookup("f");
  kernel_.hold_attributes = true;
  server_.restart();
  loop_.settle();
  EXPECT_FALSE(is_known(node));
  stat(node);
  EXPECT_LE(attribute_timeout(node), options_.actimeo_us) << "it would be returned as well";
  kernel_.release_attributes();
  pass(std::chrono::seconds(3));
  stat(node);
  EXPECT_EQ(attribute_timeout(node), kBelieved);
}

TEST_F(LeasesTest, AServerThatRefusesToTakeLeasesBackIsNotToldForEver) {
  server_.add("f", "");
  lookup("f");
  server_.fails[MessageType::kReturnLeases] = EOPNOTSUPP;
  server_.lose_connection();
  pass(std::chrono::seconds(5));
  EXPECT_EQ(server_.count(MessageType::kReturnLeases), 1u);
}

TEST_F(LeasesTest, ARecallByAnEarlierSessionIsNotReturnedToTheNext) {
  server_.add("f", "");
  lookup("f");
  kernel_.hold_attributes = true;
  server_.recall(1, {{server_.file("f"), {}}});
  loop_.settle();
  server_.restart();
  pass(std::chrono::seconds(1));
  kernel_.release_attributes();
  pass(std::chrono::seconds(3));
  EXPECT_FALSE(returned(1));
}

// --- What else hangs on it ----------------------------------------------------------------------

TEST_F(LeasesTest, WhatAFileLacksIsKnownAsLongAsItsAttributes) {
  ServerFile& file = server_.add("f", "");
  const Node node = lookup("f");
  pass(kLong);
  EXPECT_TRUE(ops().lacks_xattr(node, "system.posix_acl_access"));
  file.xattrs["system.posix_acl_access"] = "somebody else's";
  ++file.foreign_changes;
  server_.recall(7, {{file, {}}});
  until([&] { return returned(7); });
  EXPECT_FALSE(ops().lacks_xattr(node, "system.posix_acl_access"));
  stat(node);
  EXPECT_TRUE(is_known(node));
  EXPECT_FALSE(ops().lacks_xattr(node, "system.posix_acl_access"));
}

TEST_F(LeasesTest, ASetIdBitIsNotBelievedWhileItMayGo) {
  server_.add("f", "", S_IFREG | S_ISUID | 0755);
  const Node node = lookup("f");
  EXPECT_EQ(attribute_timeout(node), kBelieved);
  auto opened = open(node);
  EXPECT_EQ(attribute_timeout(node), Duration::zero());
  release(opened);
  EXPECT_EQ(attribute_timeout(node), kBelieved);
}

TEST_F(LeasesTest, AfterBytesWereReadTheTimeOfAccessIsAskedFor) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  auto opened = open(node);
  EXPECT_EQ(attribute_timeout(node), kBelieved);
  EXPECT_EQ(read(opened), "1234");
  EXPECT_EQ(attribute_timeout(node), options_.actimeo_us);
  expire();
  EXPECT_FALSE(is_known(node));
  stat(node);
  EXPECT_EQ(attribute_timeout(node), kBelieved);
  release(opened);
}

TEST_F(LeasesTest, AfterAnOpenThatBroughtBytesTheTimeOfAccessIsAskedFor) {
  server_.add("f", "1234");
  server_.brings_first_bytes = true;
  const Node node = lookup("f");
  auto opened = open(node);
  EXPECT_EQ(attribute_timeout(node), options_.actimeo_us);
  release(opened);
}

// The access time follows the rule of relatime.
TEST_F(LeasesTest, ATimeOfAccessMovesOnceADayAlthoughNothingIsModified) {
  constexpr std::int64_t kHour = 3'600'000'000'000;
  const std::int64_t now = loop_.clock.wall_ns();
  server_.add("recent", "1234").atime_ns = now - kHour;
  server_.add("old", "1234").atime_ns = now - 25 * kHour;
  for (const char* name : {"recent", "old"}) {
    const Node node = lookup(name);
    auto opened = open(node);
    EXPECT_EQ(read(opened), "1234");
    const bool moves = std::string(name) == "old";
    EXPECT_EQ(attribute_timeout(node), moves ? options_.actimeo_us : kBelieved) << name;
    release(opened);
  }
}

TEST_F(LeasesTest, AFileThatIsOpenIsRevalidatedAfterTheRecall) {
  server_.add("f", "old");
  const Node node = lookup("f");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "old");
  kernel_.dropped.clear();
  server_.change("f", "new");
  server_.recall(7, {{server_.file("f"), {}}});
  until([&] { return !kernel_.dropped.empty(); });
  EXPECT_TRUE(returned(7));
  EXPECT_EQ(kernel_.dropped, std::vector<Node>{node});
  EXPECT_EQ(read(opened), "new");
  release(opened);
}

// Revalidation drops pages, which waits for READs, and these may wait for the server.
TEST_F(LeasesTest, ARecallDoesNotWaitForTheRevalidation) {
  server_.add("f", "old");
  auto opened = open(lookup("f"));
  EXPECT_EQ(read(opened), "old");
  kernel_.hold = true;
  server_.change("f", "new");
  server_.recall(7, {{server_.file("f"), {}}});
  until([&] { return kernel_.waiting == 1; });
  EXPECT_TRUE(returned(7));
  kernel_.release();
  release(opened);
}

// If the pages were dropped only when a reply shows the change, the kernel would ignore that
// reply's attributes.
TEST_F(LeasesTest, WhatNobodyHasOpenLosesItsPagesAtTheRecall) {
  server_.add("f", "old");
  server_.add("never open", "old");
  const Node node = lookup("f");
  lookup("never open");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "old");
  release(opened);
  kernel_.dropped.clear();
  server_.change("f", "newer");
  server_.recall(7, {{server_.file("f"), {}}, {server_.file("never open"), {}}});
  until([&] { return returned(7); });
  EXPECT_EQ(kernel_.dropped, std::vector<Node>{node});
  EXPECT_EQ(stat(node).size, 5u);
  EXPECT_EQ(kernel_.dropped.size(), 1u);
  opened = open(node);
  EXPECT_EQ(read(opened), "newer");
  release(opened);
}

TEST_F(LeasesTest, OfAFileThatWasOpenedMeanwhileTheyAreDroppedAgain) {
  server_.add("f", "old");
  const Node node = lookup("f");
  release(open(node));
  kernel_.dropped.clear();
  kernel_.hold = true;
  server_.change("f", "new");
  server_.recall(7, {{server_.file("f"), {}}});
  until([&] { return kernel_.waiting == 1; });
  auto opening = loop_.start(ops().open(call(), node, O_RDONLY));
  until([&] { return kernel_.waiting == 2; });
  kernel_.release();
  until([&] { return opening->has_value() && returned(7); });
  EXPECT_EQ(kernel_.dropped, (std::vector<Node>{node, node}));
  loop_.run(ops().release((*opening)->value().file.get()));
}

TEST_F(LeasesTest, ARecallWaitsForThePagesOfManyFilesNoLongerThanForOne) {
  for (const char* name : {"f", "g"}) {
    server_.add(name, "");
    release(open(lookup(name)));
  }
  kernel_.dropped.clear();
  kernel_.hold = true;
  server_.recall(7, {{server_.file("f"), {}}, {server_.file("g"), {}}});
  until([&] { return returned(7); });
  EXPECT_EQ(kernel_.dropped.size(), 1u);
  kernel_.release();
  until([&] { return kernel_.dropped.size() == 2; });
}

// The kernel may have sent the LOOKUP before it drops pages, and then ignores the reply's owner.
// SEMANTICS: leases-are-exact
TEST_F(LeasesTest, NoNameIsBelievedForLongWhoseAnswerMayBeIgnored) {
  server_.add("f", "");
  const Node node = lookup("f");
  release(open(node));
  kernel_.hold = true;
  server_.file("f").mode = S_IFREG | 0600;
  server_.recall(7, {{server_.file("f"), {}}});
  until([&] { return returned(7); });
  ASSERT_EQ(kernel_.waiting, 1);
  auto look = [&] {
    return loop_.run(ops().lookup(call(), vfs::kRootNode, "f")).value().name_timeout_us;
  };
  EXPECT_EQ(look(), Duration::zero());
  expire();  // otherwise the client would ask for a listing instead
  server_.hold_replies(MessageType::kLookup);
  auto looking = loop_.start(ops().lookup(call(), vfs::kRootNode, "f"));
  until([&] { return server_.waiting == 1; });
  kernel_.release();
  until([&] { return kernel_.waiting == 0; });
  server_.release();
  until([&] { return looking->has_value(); });
  EXPECT_EQ((*looking)->value().name_timeout_us, Duration::zero());
  EXPECT_EQ(look(), kBelieved);
}

// Linux does not ask for attributes before it checks the owner of a file whose dentry is valid.
// SEMANTICS: leases-are-exact
TEST_F(LeasesTest, TheKernelLooksUpWhatHasChanged) {
  server_.add("f", "");
  lookup("f");
  server_.recall(7, {{server_.file("f"), {}}});
  until([&] { return returned(7); });
  EXPECT_EQ(expired("f"), 1u);
  server_.recall(8, {{server_.file("f"), {}}});
  until([&] { return returned(8); });
  EXPECT_EQ(expired("f"), 1u) << "it believes it no more";
  lookup("f");
  server_.recall(9, {{server_.file("f"), {}}});
  until([&] { return returned(9); });
  EXPECT_EQ(expired("f"), 2u);
}

TEST_F(LeasesTest, AKernelThatWouldDropTheNameKeepsIt) {
  kernel_.keeps_names = false;
  server_.add("f", "");
  lookup("f");
  server_.recall(7, {{server_.file("f"), {}}});
  until([&] { return returned(7); });
  EXPECT_EQ(expired("f"), 0u);
  server_.recall(8, {{server_.root(), {"f"}}});
  until([&] { return returned(8); });
  EXPECT_EQ(expired("f"), 1u) << "it may be another file's";
}

TEST_F(LeasesTest, TheMountEndsInTheMiddleOfARecall) {
  server_.add("f", "old");
  auto opened = open(lookup("f"));
  EXPECT_EQ(read(opened), "old");
  kernel_.hold_names = true;
  server_.hold_requests(MessageType::kGetAttr);
  server_.hold_requests(MessageType::kReturnLeases);
  server_.change("f", "new");
  server_.recall(7, {{server_.file("f"), {}}, {server_.root(), {"f"}}});
  until([&] { return server_.waiting == 2; });
  auto ended = loop_.start(mount_->shut_down());
  pass(std::chrono::seconds(2));
  EXPECT_FALSE(ended->has_value()) << "a thread is about to use the kernel's connection";
  kernel_.release_names();
  until([&] { return ended->has_value(); });
}

class NoLeasesTest : public LeasesTest {
 protected:
  NoLeasesTest() { server_.gives_leases = false; }
};

// A server without leases may not know the message.
TEST_F(NoLeasesTest, AServerThatGivesNoneIsToldOfNone) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.lose_connection();
  pass(std::chrono::seconds(5));
  stat(node);
  EXPECT_TRUE(server_.returned.empty());
}

// The reply to our own change shows the other clients' changes, too.
// SEMANTICS: leases-are-exact
TEST_F(LeasesTest, AChangeOfOursShowsThatOthersHaveCutTheFile) {
  server_.add("f", "12345678");
  const Node node = lookup("f");
  server_.change("f", "1234");
  vfs::AttributeChange mode;
  mode.valid = proto::kSetMode;
  mode.mode = 0600;
  const auto changed = loop_.run(ops().setattr(call(), node, mode, nullptr));
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed.value().size, 4u);
  EXPECT_EQ(stat(node).size, 4u);
}

}  // namespace
}  // namespace foliofs::test
