// What the reply to OPEN brings, and how the client sends CLOSE.
#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {

class VfsOpenTest : public VfsTest {
 protected:
  VfsOpenTest() { server_.brings_first_bytes = true; }

  // Another client moves "f", which this client knows, to "f.1", and makes a new "f". Returns the
  // node of the old file.
  Node rotate() {
    server_.add("f", "old");
    const Node node = lookup("f");
    server_.change("f", "old");
    server_.root().names["f.1"] = server_.root().names.at("f");
    server_.add("f", "new");
    return node;
  }
};

TEST_F(VfsOpenTest, ASmallFileComesWithItsOpen) {
  server_.add("f", "text");
  auto opened = open(lookup("f"));
  EXPECT_EQ(read(opened), "text");
  EXPECT_EQ(server_.count(MessageType::kRead), 0u);
  release(opened);
}

TEST_F(VfsOpenTest, ALargeFileDoesNot) {
  server_.add("f", std::string(70'000, 'x'));
  auto opened = open(lookup("f"));
  EXPECT_EQ(read(opened).size(), 70'000u);
  EXPECT_GT(server_.count(MessageType::kRead), 0u);
  release(opened);
}

// SEMANTICS: open-sees-closed
TEST_F(VfsOpenTest, TheNextOpenShowsWhatSomebodyElseHasWritten) {
  server_.add("f", "first");
  const Node node = lookup("f");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "first");
  release(opened);
  server_.change("f", "second, longer");
  opened = open(node);
  EXPECT_EQ(read(opened), "second, longer");
  release(opened);
}

// SEMANTICS: open-sees-closed
TEST_F(VfsOpenTest, WhatHasChangedSinceItsLookupComesAsItIsNow) {
  server_.add("f", "first, longer");
  const Node node = lookup("f");
  server_.change("f", "second");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "second");
  release(opened);
}

// SEMANTICS: open-sees-closed
TEST_F(VfsOpenTest, AFileThatWasMovedAwayIsNotOpenedUnderItsOldName) {
  const Node node = rotate();
  auto stale = loop_.run(ops().open(call(), node, O_RDONLY));
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error(), Errno(ESTALE)) << "on which the kernel looks the name up";
  EXPECT_EQ(server_.count(MessageType::kOpen), server_.count(MessageType::kClose));
  auto opened = open(lookup("f"));
  EXPECT_EQ(read(opened), "new");
  release(opened);
  opened = open(lookup("f.1"));
  EXPECT_EQ(read(opened), "old");
  release(opened);
}

// SEMANTICS: open-sees-closed
TEST_F(VfsOpenTest, OfSeveralNamesTheKernelLooksUpTheOneItMeans) {
  ServerFile& file = server_.add("f", "text");
  server_.root().names["g"] = server_.root().names.at("f");
  file.nlink = 2;
  const Node node = lookup("f");
  ASSERT_EQ(lookup("g"), node);
  server_.change("f", "text");
  EXPECT_EQ(loop_.run(ops().open(call(), node, O_RDONLY)).error(), Errno(ESTALE));
  release(open(node));
  // The name by which the file was found last still belongs to it, and the other one does not.
  server_.change("f", "text");
  server_.root().names.erase("f");
  file.nlink = 1;
  EXPECT_EQ(loop_.run(ops().open(call(), node, O_RDONLY)).error(), Errno(ESTALE));
  release(open(node));
}

// The kernel retries an open after ESTALE once, and returns a second ESTALE to the program.
TEST_F(VfsOpenTest, AFileOfSeveralNamesThatSomebodyWritesIsRefusedOnce) {
  ServerFile& file = server_.add("f", "text");
  server_.root().names["g"] = server_.root().names.at("f");
  file.nlink = 2;
  const Node node = lookup("f");
  server_.change("f", "more");
  EXPECT_EQ(loop_.run(ops().open(call(), node, O_RDONLY)).error(), Errno(ESTALE));
  ASSERT_EQ(lookup("f"), node);
  server_.change("f", "and more");
  auto opened = loop_.run(ops().open(call(), node, O_RDONLY));
  ASSERT_TRUE(opened);
  EXPECT_EQ(read(opened.value()), "and more");
  release(opened.value());
}

// SEMANTICS: open-sees-closed
TEST_F(VfsOpenTest, ThatOneFileWasLookedUpAgainSaysNothingOfAnother) {
  for (const char* name : {"f", "g"}) {
    server_.add(name, "text").nlink = 2;
    server_.root().names[std::string("other ") + name] = server_.root().names.at(name);
  }
  const Node f = lookup("f"), g = lookup("g");
  server_.change("f", "more");
  server_.change("g", "more");
  EXPECT_EQ(loop_.run(ops().open(call(), f, O_RDONLY)).error(), Errno(ESTALE));
  EXPECT_EQ(loop_.run(ops().open(call(), g, O_RDONLY)).error(), Errno(ESTALE));
}

// SEMANTICS: own-changes-show
TEST_F(VfsOpenTest, TheFirstOpenDoesNotUndoATruncationByName) {
  server_.add("f", std::string(1 << 20, 'x'));
  const Node node = lookup("f");
  server_.hold_replies(MessageType::kOpen);
  server_.hold_replies(MessageType::kSetAttr);
  auto opening = loop_.start(ops().open(call(), node, O_RDONLY));
  until([&] { return server_.waiting == 1; });
  vfs::AttributeChange change;
  change.valid = proto::kSetSize;
  auto cutting = loop_.start(ops().setattr(call(), node, change, nullptr));
  until([&] { return server_.waiting == 2; });
  server_.release();
  until([&] { return opening->has_value() && cutting->has_value(); });
  EXPECT_EQ((*cutting)->value().size, 0u);
  EXPECT_EQ(stat(node).size, 0u);
  EXPECT_EQ(read((*opening)->value()), "");
  release((*opening)->value());
}

TEST_F(VfsOpenTest, ACloseThatIsNotAnsweredIsTriedAgain) {
  server_.add("f", "text");
  auto opened = open(lookup("f"));
  server_.fails[MessageType::kClose] = ETIMEDOUT;
  release(opened);
  const std::size_t tried = server_.count(MessageType::kClose);
  EXPECT_GE(tried, 1u);
  server_.fails.clear();
  until([&] { return server_.count(MessageType::kClose) == tried + 1; });
}

TEST_F(VfsOpenTest, WhatIsOpenedTooLateIsClosed) {
  server_.add("f", "text");
  const Node node = lookup("f");
  server_.hold_replies(MessageType::kOpen);
  session_->set_timeout(std::chrono::seconds(1), /*hard=*/false);
  auto opening = loop_.start(ops().open(call(), node, O_RDONLY));
  pass(std::chrono::seconds(3));
  ASSERT_TRUE(opening->has_value());
  EXPECT_EQ((*opening)->error(), Errno(ETIMEDOUT));
  EXPECT_EQ(server_.count(MessageType::kClose), 0u);
  server_.release();
  until([&] { return server_.count(MessageType::kClose) == 1; });
  EXPECT_EQ(server_.count(MessageType::kOpen), 1u);
}

// SEMANTICS: open-sees-closed
TEST_F(VfsOpenTest, AFileThatWasNotThereIsAskedForAgain) {
  auto none = loop_.run(ops().lookup(call(), vfs::kRootNode, "f"));
  ASSERT_TRUE(none);
  EXPECT_EQ(none.value().node, 0u);
  EXPECT_EQ(none.value().name_timeout_us, Duration::zero()) << "another client may make it";
}

// SEMANTICS: open-sees-closed
TEST_F(VfsOpenTest, AMovedFileThatIsKnownByItsNewNameIsNotOpenedUnderItsOldOne) {
  const Node node = rotate();
  ASSERT_EQ(lookup("f.1"), node);
  EXPECT_EQ(loop_.run(ops().open(call(), node, O_RDONLY)).error(), Errno(ESTALE));
  EXPECT_NE(lookup("f"), node);
}

TEST_F(VfsOpenTest, WhetherItWasMovedIsAskedOncePerChange) {
  server_.add("f", "first");
  const Node node = lookup("f");
  server_.change("f", "second");
  const std::size_t before = server_.count(MessageType::kLookup);
  for (int i = 0; i < 3; ++i) release(open(node));
  EXPECT_EQ(server_.count(MessageType::kLookup), before + 1);
}

// SEMANTICS: open-sees-closed
TEST_F(VfsOpenTest, WhatHasComeIsOldOnceALaterVersionIsKnown) {
  server_.add("f", "first");
  const Node node = lookup("f");
  server_.change("f", "second");
  server_.hold_requests(MessageType::kLookup);
  auto opening = loop_.start(ops().open(call(), node, O_RDONLY));
  until([&] { return server_.waiting == 1; });
  server_.change("f", "third");
  expire();
  stat(node);
  server_.release();
  until([&] { return opening->has_value(); });
  ASSERT_TRUE(opening->value());
  EXPECT_EQ(read(opening->value().value()), "third");
  release(opening->value().value());
}

TEST_F(VfsOpenTest, AnOpenThatFailsLeavesNothingBehind) {
  server_.add("f", "text");
  const Node node = lookup("f");
  server_.fails[MessageType::kOpen] = EACCES;
  auto failed = loop_.run(ops().open(call(), node, O_RDONLY));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error(), Errno(EACCES));
  server_.fails.clear();
  server_.change("f", "new");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "new");
  release(opened);
}

TEST_F(VfsOpenTest, ACloseLeavesWithTheNextRequestOrSoon) {
  server_.add("f", "text");
  const Node node = lookup("f");
  auto opened = open(node);
  auto releasing = loop_.start([&]() -> Task<bool> {
    co_await ops().release(opened.file.get());
    co_return true;
  }());
  EXPECT_EQ(server_.count(MessageType::kClose), 0u);
  auto again = open(node);
  EXPECT_EQ(server_.count(MessageType::kClose), 1u);
  until([&] { return releasing->has_value(); });
  release(again);
  EXPECT_EQ(server_.count(MessageType::kClose), 2u);
}

}  // namespace foliofs::test
