// What OPEN brings along, and how CLOSE leaves.
#include "tests/unit/vfs_fixture.h"

namespace foliofs::test {

class VfsOpenTest : public VfsTest {
 protected:
  VfsOpenTest() { server_.brings_first_bytes = true; }
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
