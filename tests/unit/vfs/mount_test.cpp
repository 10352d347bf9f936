// Operations on files and names, one client.
#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {

TEST_F(VfsTest, StoredBytesAreOnTheServerAfterFlush) {
  server_.add("f", "old");
  auto opened = open(lookup("f"));
  ASSERT_TRUE(write(opened, 0, "new"));
  EXPECT_EQ(server_.file("f").data, "old");
  ASSERT_TRUE(flush(opened));
  EXPECT_EQ(server_.file("f").data, "new");
  release(opened);
}

// Once callers have got EINTR, the kernel may release the file while their calls still run here.
TEST_F(VfsTest, AFileMayBeReleasedUnderCallsThatGoOn) {
  server_.add("f", std::string(100, 'a'));
  const Node node = lookup("f");
  auto opened = open(node);
  ASSERT_TRUE(write(opened, 200, "dirty"));
  server_.hold_requests(MessageType::kRead);
  server_.hold_requests(MessageType::kWrite);
  server_.hold_requests(MessageType::kCommit);
  auto reading = loop_.start(ops().read(opened.file, 0, 10));
  auto syncing = loop_.start(ops().fsync(opened.file, false));
  std::weak_ptr<vfs::OpenFile> file = opened.file;
  bool released = false;
  auto release_it = [&]() -> Task<bool> {
    co_await ops().release(std::exchange(opened.file, nullptr).get());
    released = true;
    co_return true;
  };
  auto releasing = loop_.start(release_it());
  EXPECT_FALSE(file.expired());
  server_.release();
  until([&] { return released && reading->has_value() && syncing->has_value(); });
  until([&] { return file.expired(); });
  EXPECT_EQ(server_.file("f").data.substr(200), "dirty");
}

// SEMANTICS: append-is-atomic
TEST_F(VfsTest, AppendersDoNotOverlap) {
  server_.add("f", "");
  auto opened = open(lookup("f"), O_RDWR | O_APPEND);
  // All appenders see the end at 0, and wait at the gate of a truncation.
  server_.hold_requests(MessageType::kSetAttr);
  vfs::AttributeChange change;
  change.valid = proto::kSetSize;
  auto truncating = loop_.start(ops().setattr(call(), lookup("f"), change, opened.file));
  const std::string texts[] = {"aaaa", "bbbb", "cccc"};
  std::vector<std::shared_ptr<std::optional<Status>>> writing;
  for (const auto& text : texts) {
    auto to_end = store(0, text);
    to_end.append = true;
    EXPECT_FALSE(ops().try_write(opened.file.get(), to_end));
    writing.push_back(loop_.start(ops().write(call(), opened.file, to_end)));
  }
  server_.release();
  until([&] {
    return std::all_of(writing.begin(), writing.end(), [](auto& w) { return w->has_value(); });
  });
  ASSERT_TRUE(flush(opened));
  EXPECT_EQ(server_.file("f").data, "aaaabbbbcccc");
  release(opened);
}

// fcntl(2) may clear O_APPEND of a file that was opened with it.
TEST_F(VfsTest, WithoutTheFlagTheOffsetCounts) {
  server_.add("f", "0123456789");
  auto opened = open(lookup("f"), O_RDWR | O_APPEND);
  ASSERT_TRUE(write(opened, 2, "xx"));
  ASSERT_TRUE(flush(opened));
  EXPECT_EQ(server_.file("f").data, "01xx456789");
  release(opened);
}

// SEMANTICS: own-changes-show
TEST_F(VfsTest, TheOtherNamesOfARemovedFileShowItsLinkCount) {
  server_.add("a", "");
  const Node node = lookup("a");
  auto linked = loop_.run(ops().link(call(), node, vfs::kRootNode, "b"));
  ASSERT_TRUE(linked);
  EXPECT_EQ(linked.value().attributes.nlink, 2u);
  ASSERT_TRUE(loop_.run(ops().unlink(call(), vfs::kRootNode, "a", false)));
  EXPECT_EQ(stat(node).nlink, 1u);

  server_.add("c", "");
  lookup("c");
  auto again = loop_.run(ops().link(call(), node, vfs::kRootNode, "d"));
  ASSERT_TRUE(again);
  EXPECT_EQ(again.value().attributes.nlink, 2u);
  ASSERT_TRUE(loop_.run(ops().rename(call(), vfs::kRootNode, "c", vfs::kRootNode, "b", 0)));
  EXPECT_EQ(stat(node).nlink, 1u);
}

// SEMANTICS: fsync-commits
TEST_F(VfsTest, FsyncOfADirectoryCommitsOnTheServer) {
  auto directory = ops().open_directory(vfs::kRootNode).value().directory;
  ASSERT_TRUE(loop_.run(ops().fsync_directory(call(), directory, false)));
  EXPECT_EQ(server_.count(MessageType::kCommit), 1u);
  EXPECT_EQ(server_.count(MessageType::kOpen), server_.count(MessageType::kClose));
  server_.fails[MessageType::kCommit] = EIO;
  auto failed = loop_.run(ops().fsync_directory(call(), directory, false));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error(), Errno(EIO));
  ops().release_directory(directory.get());
}

// stat shows the same times for a file with a few dirty bytes as after its close.
// SEMANTICS: times-stay
TEST_F(VfsTest, TimesShownBeforeCloseAreThoseAfterIt) {
  auto created = create("f", O_RDWR | O_EXCL);
  ASSERT_TRUE(created);
  auto& opened = created.value().opened;
  const Node node = created.value().entry.node;
  ASSERT_TRUE(write(opened, 0, "text"));
  EXPECT_EQ(ops().attribute_timeout_us(node).count(), 0);
  const auto before = stat(node);
  EXPECT_GT(ops().attribute_timeout_us(node).count(), 0);
  ASSERT_TRUE(flush(opened));
  release(opened);
  const auto after = stat(node);
  EXPECT_EQ(before.mtime_ns, after.mtime_ns);
  EXPECT_EQ(before.ctime_ns, after.ctime_ns);
  EXPECT_EQ(before.size, 4u);
  EXPECT_EQ(after.mtime_ns, server_.file("f").mtime_ns);
}

// SEMANTICS: attributes-age
TEST_F(VfsTest, TheKernelBelievesAttributesOnlyAsLongAsWeDo) {
  server_.add("f", "");
  const Node node = lookup("f");
  pass(std::chrono::milliseconds(700));
  EXPECT_LE(ops().attribute_timeout_us(node), std::chrono::milliseconds(300));
  expire();
  EXPECT_EQ(ops().attribute_timeout_us(node).count(), 0);
}

class VfsNoTimeoutTest : public VfsTest {
 protected:
  VfsNoTimeoutTest() { options_.actimeo_us = Duration::zero(); }
};

TEST_F(VfsNoTimeoutTest, AStatIsOneQuery) {
  server_.add("f", "");
  const Node node = lookup("f");
  stat(node);
  EXPECT_EQ(server_.count(MessageType::kGetAttr), 1u);
}

TEST_F(VfsTest, AChownOfNothingTakesSetIdBitsAway) {
  server_.add("f", "", S_IFREG | 04755);
  const Node node = lookup("f");
  auto changed = loop_.run(ops().setattr(call(), node, {}, nullptr));
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed.value().mode, S_IFREG | 0755u);
  EXPECT_EQ(server_.file("f").mode, S_IFREG | 0755u);
}

// SEMANTICS: error-once
TEST_F(VfsTest, AFailureThatCloseHasReportedIsNoNewsToTheNextOpener) {
  server_.add("f", "");
  const Node node = lookup("f");
  auto first = open(node);
  ASSERT_TRUE(write(first, 0, "text"));
  server_.fails[MessageType::kWrite] = ENOSPC;
  auto flushed = flush(first);
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error(), Errno(ENOSPC));
  release(first);
  pass(std::chrono::seconds(17));  // the client retries the WRITE in the background
  for (int reader = 0; reader < 3; ++reader) {
    server_.change("f", "");  // a WRITE that fails may have moved the file's times
    auto next = open(node, O_RDONLY);
    EXPECT_TRUE(flush(next)) << reader;
    release(next);
  }
  server_.fails.clear();
  until([&] { return server_.file("f").data == "text"; });
  // After the WRITE has succeeded, a new failure is reported again.
  auto third = open(node);
  ASSERT_TRUE(write(third, 0, "more"));
  server_.fails[MessageType::kWrite] = ENOSPC;
  EXPECT_FALSE(flush(third));
  server_.fails.clear();
  release(third);
}

}  // namespace foliofs::test
