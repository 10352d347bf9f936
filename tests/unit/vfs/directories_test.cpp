// Directories: what the replies to changes in them tell, and what the client then need not ask.
#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {
namespace {

class DirectoriesTest : public VfsTest {
 protected:
  std::size_t asked() const { return server_.count(MessageType::kGetAttr); }
  // The root's mtime, if the client knows it without asking the server.
  std::optional<std::int64_t> known_mtime() {
    auto known = ops().try_getattr(vfs::kRootNode, true);
    return known ? std::optional(known->mtime_ns) : std::nullopt;
  }
  Result<vfs::Entry> mkdir(const std::string& name) {
    return loop_.run(ops().mkdir(call(), vfs::kRootNode, name, 0755));
  }
  Status unlink(const std::string& name) {
    return loop_.run(ops().unlink(call(), vfs::kRootNode, name, false));
  }
};

// SEMANTICS: own-changes-show
TEST_F(DirectoriesTest, TheAnswerToAChangeTellsOfTheDirectory) {
  server_.add("f", "");
  const Node file = lookup("f");
  auto created = create("made", O_RDWR | O_CREAT);
  ASSERT_TRUE(created);
  EXPECT_EQ(known_mtime(), server_.root().mtime_ns);
  ASSERT_TRUE(mkdir("d"));
  EXPECT_EQ(known_mtime(), server_.root().mtime_ns);
  EXPECT_EQ(stat(vfs::kRootNode).nlink, 3u);
  ASSERT_TRUE(loop_.run(ops().link(call(), file, vfs::kRootNode, "g")));
  EXPECT_EQ(known_mtime(), server_.root().mtime_ns);
  ASSERT_TRUE(loop_.run(ops().rename(call(), vfs::kRootNode, "g", vfs::kRootNode, "h", 0)));
  EXPECT_EQ(known_mtime(), server_.root().mtime_ns);
  ASSERT_TRUE(unlink("h"));
  EXPECT_EQ(known_mtime(), server_.root().mtime_ns);
  EXPECT_EQ(asked(), 0u);
  release(created.value().opened);
}

TEST_F(DirectoriesTest, BothDirectoriesOfARenameAreKnown) {
  server_.add("f", "");
  const Node directory = mkdir("d").value().node;
  ASSERT_TRUE(loop_.run(ops().rename(call(), vfs::kRootNode, "f", directory, "f", 0)));
  EXPECT_EQ(known_mtime(), server_.root().mtime_ns);
  EXPECT_EQ(ops().try_getattr(directory, true)->mtime_ns, server_.file("d").mtime_ns);
  EXPECT_EQ(asked(), 0u);
}

TEST_F(DirectoriesTest, WhatIsKnownGetsOldAllTheSame) {
  ASSERT_TRUE(mkdir("d"));
  expire();
  EXPECT_FALSE(known_mtime());
}

// The server makes the directory before it removes the file, but the reply to MKDIR comes last.
// SEMANTICS: own-changes-show
TEST_F(DirectoriesTest, AnAnswerThatWasOvertakenDoesNotTakeALaterChangeBack) {
  server_.add("f", "");
  server_.hold_replies(MessageType::kMkdir);
  auto making = loop_.start(ops().mkdir(call(), vfs::kRootNode, "d", 0755));
  until([&] { return server_.waiting == 1; });
  ASSERT_TRUE(unlink("f"));
  server_.release();
  until([&] { return making->has_value(); });
  ASSERT_TRUE(**making);
  EXPECT_FALSE(known_mtime());
  EXPECT_EQ(stat(vfs::kRootNode).mtime_ns, server_.root().mtime_ns);
}

TEST_F(DirectoriesTest, AnAnswerFromBeforeAChangeDoesNotTakeItBack) {
  server_.add("f", "");
  server_.hold_replies(MessageType::kLookup);
  auto looking = loop_.start(ops().lookup(call(), vfs::kRootNode, "f"));
  until([&] { return server_.waiting == 1; });
  ASSERT_TRUE(mkdir("d"));
  server_.release();
  until([&] { return looking->has_value(); });
  EXPECT_EQ(known_mtime(), server_.root().mtime_ns);
}

TEST_F(DirectoriesTest, AChangeThatFailsLeavesNothingKnown) {
  ASSERT_TRUE(mkdir("d"));
  EXPECT_EQ(mkdir("d").error(), Errno(EEXIST));
  EXPECT_FALSE(known_mtime());
}

// The directory's attributes in the reply may show changes of other sessions.
TEST_F(DirectoriesTest, ALookupTellsOfTheDirectoryToo) {
  server_.add("f", "");
  lookup("f");
  expire();
  EXPECT_FALSE(known_mtime());
  server_.root().mtime_ns += 1000;
  ++server_.root().foreign_changes;
  lookup("f");
  EXPECT_EQ(known_mtime(), server_.root().mtime_ns);
}

TEST_F(DirectoriesTest, AListingSaysWhereItEnds) {
  server_.add("a", "");
  auto directory = ops().open_directory(vfs::kRootNode).value().directory;
  auto read = loop_.run(ops().read_directory(call(), directory, 0, false)).value();
  ASSERT_EQ(read.entries.size(), 1u);
  EXPECT_TRUE(read.end);
  server_.most_entries = 1;
  server_.add("b", "");
  read = loop_.run(ops().read_directory(call(), directory, 0, false)).value();
  EXPECT_EQ(read.entries.size(), 1u);
  EXPECT_FALSE(read.end);
  ops().release_directory(directory.get());
}

// If the kernel got the same attributes again, it would drop the ACLs that it has cached.
TEST_F(DirectoriesTest, TheKernelIsNotToldAgainWhatItKnows) {
  server_.add("f", "");
  auto directory = ops().open_directory(vfs::kRootNode).value().directory;
  // Whether a listing gives the kernel the attributes of its first entry.
  const auto tells = [&] {
    auto read = loop_.run(ops().read_directory(call(), directory, 0, true)).value();
    for (auto& entry : read.entries) ops().refresh(*directory, entry);
    return read.entries.front().entry.has_value();
  };
  EXPECT_TRUE(tells());
  EXPECT_FALSE(tells());
  pass(options_.actimeo_us / 2);
  EXPECT_TRUE(tells()) << "it would soon ask";
  server_.change("f", "longer");
  EXPECT_TRUE(tells()) << "there is news";
  EXPECT_FALSE(tells());
  ASSERT_TRUE(loop_.run(ops().link(call(), lookup("f"), vfs::kRootNode, "g")));
  EXPECT_TRUE(tells()) << "it has been given the other name last";
  ops().release_directory(directory.get());
}

}  // namespace
}  // namespace foliofs::test
