// A restart of the server: open files, dirty bytes and calls on their way survive it.
#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {

class VfsSessionsTest : public VfsTest {
 protected:
  // Returns when the session has noticed the restart.
  void restart() {
    const std::uint64_t before = session_->incarnation();
    server_.restart();
    until([&] { return session_->incarnation() != before; });
  }
};

// A server whose handles become invalid when it restarts.
class VfsLostHandlesTest : public VfsSessionsTest {
 protected:
  VfsLostHandlesTest() { server_.descriptor_handles = true; }
};

TEST_F(VfsLostHandlesTest, DirtyBytesSurviveTheLossOfHandles) {
  server_.squashes_root = true;
  server_.add("f", "");
  auto opened = open(lookup("f"));
  ASSERT_TRUE(write(opened, 0, "text"));
  restart();
  ASSERT_TRUE(flush(opened));
  EXPECT_EQ(server_.file("f").data, "text");
  release(opened);
}

// This holds even if no program has the file open, and only a lookup can tell whether it is gone.
// SEMANTICS: restart-survives
TEST_F(VfsLostHandlesTest, BytesOfAReleasedFileAreKeptUntilItIsGone) {
  server_.add("f", "");
  server_.add("gone", "");
  auto f = open(lookup("f"));
  auto gone = open(lookup("gone"));
  ASSERT_TRUE(write(f, 0, "text"));
  ASSERT_TRUE(write(gone, 0, "text"));
  server_.fails[MessageType::kWrite] = ENOSPC;
  EXPECT_FALSE(flush(f));
  EXPECT_FALSE(flush(gone));
  release(f);
  release(gone);
  restart();
  server_.root().names.erase("gone");
  server_.fails[MessageType::kLookup] = EACCES;
  pass(std::chrono::seconds(20));
  EXPECT_EQ(mount_->stats().cache.dirty_bytes, 8u);
  server_.fails.clear();
  until([&] { return mount_->stats().cache.dirty_bytes == 0; });
  EXPECT_EQ(server_.file("f").data, "text");
}

TEST_F(VfsLostHandlesTest, ALookupAfterTheRestartFindsTheInodeThatIsDirty) {
  server_.add("f", "old text");
  const Node node = lookup("f");
  auto opened = open(node);
  ASSERT_TRUE(write(opened, 0, "new"));
  restart();
  EXPECT_EQ(lookup("f"), node);
  auto second = open(node, O_RDONLY);
  EXPECT_EQ(read(second), "new text");
  release(second);
  ASSERT_TRUE(flush(opened));
  release(opened);
  EXPECT_EQ(server_.file("f").data, "new text");
}

// The same inode number does not make the same file.
TEST_F(VfsLostHandlesTest, AFileThatWasReplacedIsAnother) {
  ServerFile& file = server_.add("f", "");
  const Node node = lookup("f");
  restart();
  file.btime_ns += 1;
  EXPECT_NE(lookup("f"), node);
}

TEST_F(VfsLostHandlesTest, AHandleThatAnotherCallHasRepairedIsTried) {
  server_.add("d", "", S_IFDIR | 0755);
  const Node node = lookup("d");
  restart();
  server_.hold_replies(MessageType::kGetAttr);
  expire();
  auto first = loop_.start(ops().getattr(call(), node, nullptr));
  auto second = loop_.start(ops().getattr(call(), node, nullptr));
  auto root = loop_.start(ops().getattr(call(), vfs::kRootNode, nullptr));
  auto root_again = loop_.start(ops().getattr(call(), vfs::kRootNode, nullptr));
  until([&] { return server_.waiting >= 4; });
  server_.release();
  until([&] {
    return first->has_value() && second->has_value() && root->has_value() &&
           root_again->has_value();
  });
  EXPECT_TRUE(first->value().has_value());
  EXPECT_TRUE(second->value().has_value());
  EXPECT_TRUE(root->value().has_value());
  EXPECT_TRUE(root_again->value().has_value());
}

TEST_F(VfsLostHandlesTest, LinkAndRenameFindBothTheirFilesAgain) {
  server_.add("d", "", S_IFDIR | 0755);
  server_.add("e", "", S_IFDIR | 0755);
  const std::uint64_t ino = server_.add("f", "").ino;
  server_.file("d").names["f"] = ino;
  const Node d = lookup("d"), e = lookup("e");
  auto f = loop_.run(ops().lookup(call(), d, "f"));
  ASSERT_TRUE(f);
  restart();
  auto linked = loop_.run(ops().link(call(), f.value().node, e, "g"));
  ASSERT_TRUE(linked) << errno_name(linked.error());
  restart();
  auto renamed = loop_.run(ops().rename(call(), d, "f", e, "h", 0));
  ASSERT_TRUE(renamed) << errno_name(renamed.error());
  EXPECT_EQ(server_.file("e").names.size(), 2u);
}

// git makes its objects 0444 and goes on writing them.
// SEMANTICS: restart-survives
TEST_F(VfsSessionsTest, AReadOnlyFileStaysOpenForWriting) {
  server_.checks_write = true;
  auto created = create("f", O_RDWR | O_EXCL, 0444);
  ASSERT_TRUE(created);
  auto& opened = created.value().opened;
  ASSERT_TRUE(write(opened, 0, "text"));
  restart();
  auto flushed = flush(opened);
  ASSERT_TRUE(flushed) << errno_name(flushed.error());
  EXPECT_EQ(server_.file("f").data, "text");
  release(opened);
}

TEST_F(VfsSessionsTest, CallsThroughAnOpenAreRepeatedThroughTheNewOne) {
  server_.add("f", "12345678");
  const Node node = lookup("f");
  auto opened = open(node);
  server_.hold_requests(MessageType::kSetAttr);
  vfs::AttributeChange change;
  change.valid = proto::kSetSize;
  change.size = 4;
  auto truncating = loop_.start(ops().setattr(call(), node, change, opened.file));
  until([&] { return server_.waiting > 0; });
  restart();
  server_.release();
  until([&] { return truncating->has_value(); });
  ASSERT_TRUE(truncating->value()) << errno_name(truncating->value().error());
  EXPECT_EQ(server_.file("f").data, "1234");

  expire();
  server_.hold_requests(MessageType::kGetAttr);
  auto asking = loop_.start(ops().getattr(call(), node, opened.file));
  until([&] { return server_.waiting > 0; });
  restart();
  server_.release();
  until([&] { return asking->has_value(); });
  ASSERT_TRUE(asking->value()) << errno_name(asking->value().error());
  release(opened);
}

TEST_F(VfsSessionsTest, AnExclusiveCreateThatHadHappenedSucceeds) {
  server_.hold_replies(MessageType::kCreate);
  auto creating = loop_.start(ops().create(call(), vfs::kRootNode, "f", 0644, O_RDWR | O_EXCL));
  until([&] { return server_.count(MessageType::kCreate) > 0; });
  restart();
  server_.release();
  until([&] { return creating->has_value(); });
  auto& created = **creating;
  ASSERT_TRUE(created) << errno_name(created.error());
  ASSERT_TRUE(write(created.value().opened, 0, "text"));
  ASSERT_TRUE(flush(created.value().opened));
  EXPECT_EQ(server_.file("f").data, "text");
  release(created.value().opened);
  EXPECT_FALSE(create("f", O_RDWR | O_EXCL));
}

// SEMANTICS: fsync-commits
TEST_F(VfsSessionsTest, FsyncReportsWhatTheServersMachineHasLost) {
  server_.add("f", "");
  auto opened = open(lookup("f"));
  ASSERT_TRUE(write(opened, 0, "text"));
  ASSERT_TRUE(flush(opened));
  ++server_.write_verifier;
  restart();
  auto synced = fsync(opened);
  ASSERT_FALSE(synced);
  EXPECT_EQ(synced.error(), Errno(EIO));
  EXPECT_TRUE(fsync(opened));

  // A restart of the process loses no written bytes, and committed bytes are safe.
  ASSERT_TRUE(write(opened, 0, "more"));
  ASSERT_TRUE(flush(opened));
  restart();
  EXPECT_TRUE(fsync(opened));
  ++server_.write_verifier;
  restart();
  EXPECT_TRUE(fsync(opened));
  release(opened);
}

}  // namespace foliofs::test
