// Allocation, seeking, copies and appends: what the client asks of the server, and when.
#include <linux/falloc.h>

#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {
namespace {

class RangesTest : public VfsTest {
 protected:
  static vfs::Store to_end(std::string_view text) {
    vfs::Store made = store(0, text);
    made.append = true;
    return made;
  }
  Status append(const vfs::OpenedFile& opened, std::string_view text) {
    return loop_.run(ops().write(call(), opened.file, to_end(text)));
  }
  Status allocate(const vfs::OpenedFile& opened, std::uint32_t mode, std::uint64_t offset,
                  std::uint64_t length) {
    return loop_.run(ops().allocate(call(), opened.file, mode, offset, length));
  }
};

// SEMANTICS: append-is-atomic
TEST_F(RangesTest, AppendsGoToTheServersEnd) {
  server_.add("f", "one");
  auto opened = open(lookup("f"), O_RDWR | O_APPEND);
  server_.change("f", "one and what this client has not seen");
  ASSERT_TRUE(append(opened, "!"));
  EXPECT_EQ(server_.file("f").data, "one and what this client has not seen!");
  EXPECT_EQ(stat(lookup("f")).size, server_.file("f").data.size());
  EXPECT_EQ(read(opened), server_.file("f").data);
  release(opened);
}

// The server does not tell a client of its own changes, and may have executed a part of an append
// that fails.
// SEMANTICS: own-changes-show
TEST_F(RangesTest, AfterAnAppendThatFailedTheEndIsAskedFor) {
  server_.add("file", "text");
  const Node node = lookup("file");
  const auto opened = open(node);
  server_.fails[MessageType::kWrite] = ENOSPC;
  server_.file("file").data += ", half of it";
  EXPECT_EQ(append(opened, ", half of it and the rest"), Status(Errno(ENOSPC)));
  server_.fails.clear();
  EXPECT_EQ(stat(node).size, 16u);
  EXPECT_EQ(read(opened), "text, half of it");
  EXPECT_NE(std::ranges::count(kernel_.expired, node), 0);
  release(opened);
}

// SEMANTICS: append-is-atomic
TEST_F(RangesTest, AnAppendIsBehindWhatWasStoredBefore) {
  server_.add("f", "");
  auto opened = open(lookup("f"));
  ASSERT_TRUE(write(opened, 0, "stored"));
  ASSERT_TRUE(append(opened, "+appended"));
  ASSERT_TRUE(write(opened, 0, "S"));
  EXPECT_EQ(read(opened), "Stored+appended");
  release(opened);
  EXPECT_EQ(server_.file("f").data, "Stored+appended");
}

// The client does not know whether the server has executed the first append.
// SEMANTICS: append-is-atomic
TEST_F(RangesTest, AnAppendIsNotRepeatedInAnotherSession) {
  server_.add("f", "");
  auto opened = open(lookup("f"), O_RDWR | O_APPEND);
  server_.hold_replies(proto::MessageType::kWrite);
  auto appending = loop_.start(ops().write(call(), opened.file, to_end("once")));
  until([&] { return server_.waiting == 1; });
  server_.restart();
  until([&] { return appending->has_value(); });
  EXPECT_EQ(**appending, Status(Errno(EIO)));
  EXPECT_EQ(server_.file("f").data, "once");
  server_.release();
  ASSERT_TRUE(append(opened, ", twice"));
  EXPECT_EQ(read(opened), "once, twice");
  release(opened);
}

// The kernel has filled the rest of that page with zeros.
// SEMANTICS: written-is-read
TEST_F(RangesTest, ThePageInWhichTheFileEndedGoesBeforeAnAppendIsAnswered) {
  server_.add("f", "one");
  const Node node = lookup("f");
  auto reader = open(node, O_RDONLY);
  auto appender = open(node, O_WRONLY | O_APPEND);
  EXPECT_EQ(read(reader), "one");
  kernel_.dropped.clear();
  kernel_.hold = true;
  auto appending = loop_.start(ops().write(call(), appender.file, to_end(", two")));
  until([&] { return kernel_.waiting == 1; });
  EXPECT_FALSE(appending->has_value());
  kernel_.release();
  until([&] { return appending->has_value(); });
  EXPECT_EQ(kernel_.dropped, std::vector<Node>{node});
  ASSERT_TRUE(append(appender, ", three"));
  EXPECT_EQ(kernel_.dropped.size(), 1u) << "nobody has read it since";
  EXPECT_EQ(read(reader), "one, two, three");
  release(appender);
  release(reader);
}

// If a reply other than the append's own told the kernel of the new size, the kernel would clear
// what it has read after the old end.
// SEMANTICS: written-is-read
TEST_F(RangesTest, TheKernelIgnoresAnswersThatOvertakeAnAppend) {
  server_.add("f", "one");
  const Node node = lookup("f");
  auto appender = open(node, O_WRONLY | O_APPEND);
  ASSERT_TRUE(append(appender, ", two"));
  EXPECT_EQ(stat(node).size, 8u);
  EXPECT_TRUE(kernel_.expired.empty()) << "nobody reads it";
  auto reader = open(node, O_RDONLY);
  EXPECT_EQ(stat(node).size, 8u);
  EXPECT_EQ(kernel_.expired, std::vector<Node>{node});
  expire();
  EXPECT_EQ(stat(node).size, 8u);
  EXPECT_EQ(kernel_.expired.size(), 1u) << "the append was answered long ago";
  release(reader);
  release(appender);
}

// SEMANTICS: written-is-read
TEST_F(RangesTest, ItIgnoresThemWhileTheAppendIsUnderWay) {
  server_.add("f", "one");
  const Node node = lookup("f");
  auto reader = open(node, O_RDONLY);
  auto appender = open(node, O_WRONLY | O_APPEND);
  stat(node);
  server_.hold_replies(proto::MessageType::kWrite);
  auto appending = loop_.start(ops().write(call(), appender.file, to_end(", two")));
  until([&] { return server_.waiting == 1; });
  kernel_.expired.clear();
  expire();
  EXPECT_EQ(stat(node).size, 8u);
  EXPECT_EQ(kernel_.expired, std::vector<Node>{node});
  server_.release();
  until([&] { return appending->has_value(); });
  release(appender);
  release(reader);
}

// A direct write does not store to pages that the kernel keeps.
// SEMANTICS: written-is-read
TEST_F(RangesTest, ADirectWriteThatMakesTheFileLongerIsLikeAnAppend) {
  server_.add("f", "one");
  const Node node = lookup("f");
  auto writer = open(node, O_WRONLY | O_DIRECT);
  kernel_.expired.clear();
  ASSERT_TRUE(write(writer, 3, ", 2"));
  EXPECT_EQ(stat(node).size, 6u);
  EXPECT_TRUE(kernel_.expired.empty()) << "nobody reads it";
  auto reader = open(node, O_RDONLY);
  expire();
  ASSERT_TRUE(write(writer, 0, "ONE"));
  EXPECT_EQ(stat(node).size, 6u);
  EXPECT_TRUE(kernel_.expired.empty()) << "it is no longer than before";
  ASSERT_TRUE(write(writer, 6, ", 3"));
  EXPECT_EQ(stat(node).size, 9u);
  EXPECT_EQ(kernel_.expired, std::vector<Node>{node});
  release(writer);
  release(reader);
}

TEST_F(RangesTest, ItDoesNotIgnoreWhatElseIsNew) {
  server_.add("f", "one");
  const Node node = lookup("f");
  auto reader = open(node, O_RDONLY);
  auto appender = open(node, O_WRONLY | O_APPEND);
  stat(node);
  ASSERT_TRUE(append(appender, ", two"));
  server_.file("f").mode = S_IFREG | 0600;
  ++server_.file("f").foreign_changes;
  pass(std::chrono::milliseconds(900));
  ASSERT_TRUE(append(appender, ", three"));
  pass(std::chrono::milliseconds(900));
  kernel_.expired.clear();
  EXPECT_EQ(stat(node).mode & 07777, 0600u);
  EXPECT_TRUE(kernel_.expired.empty());
  release(appender);
  release(reader);
}

TEST_F(RangesTest, APunchedRangeReadsAsZeros) {
  server_.add("f", "0123456789");
  auto opened = open(lookup("f"));
  EXPECT_EQ(read(opened), "0123456789");
  ASSERT_TRUE(write(opened, 3, "xxx"));
  ASSERT_TRUE(allocate(opened, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3));
  EXPECT_EQ(read(opened), std::string("01\0\0\0x6789", 10));
  release(opened);
}

TEST_F(RangesTest, AllocationGrowsTheFileUnlessToldNotTo) {
  server_.add("f", "0123");
  auto opened = open(lookup("f"));
  ASSERT_TRUE(allocate(opened, FALLOC_FL_KEEP_SIZE, 0, 100));
  EXPECT_EQ(stat(lookup("f")).size, 4u);
  ASSERT_TRUE(allocate(opened, 0, 2, 6));
  EXPECT_EQ(stat(lookup("f")).size, 8u);
  EXPECT_EQ(read(opened), std::string("0123\0\0\0\0", 8));
  EXPECT_EQ(allocate(opened, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), Status(Errno(EOPNOTSUPP)));
  EXPECT_EQ(allocate(opened, 0, std::uint64_t{1} << 63, 1), Status(Errno(EFBIG)));
  release(opened);
}

// SEMANTICS: dirty-is-data
TEST_F(RangesTest, SeekingSeesWhatIsDirty) {
  server_.add("f", std::string(10, '\0'));
  auto opened = open(lookup("f"));
  ASSERT_TRUE(write(opened, 6, "xx"));
  auto data = loop_.run(ops().seek(opened.file, 0, true));
  ASSERT_TRUE(data);
  EXPECT_EQ(data.value(), 6u);
  auto hole = loop_.run(ops().seek(opened.file, 6, false));
  ASSERT_TRUE(hole);
  EXPECT_EQ(hole.value(), 8u);
  auto none = loop_.run(ops().seek(opened.file, 10, true));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error(), Errno(ENXIO));
  release(opened);
}

TEST_F(RangesTest, ACopyTakesWhatIsDirtyAndShowsAtTheTarget) {
  server_.add("from", "abcdef");
  server_.add("to", "..........");
  auto from = open(lookup("from")), to = open(lookup("to"));
  EXPECT_EQ(read(to), "..........");
  ASSERT_TRUE(write(from, 0, "A"));
  server_.most_copied = 3;
  auto copied = loop_.run(ops().copy_range(call(), from.file, 0, to.file, 4, 6));
  ASSERT_TRUE(copied);
  EXPECT_EQ(copied.value(), 3u);
  EXPECT_EQ(read(to), "....Abc...");
  server_.fails[proto::MessageType::kCopyRange] = EXDEV;
  copied = loop_.run(ops().copy_range(call(), from.file, 0, to.file, 0, 6));
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error(), Errno(EXDEV));
  release(from);
  release(to);
}

TEST_F(RangesTest, ACopyIsMadeAgainInAnotherSession) {
  server_.add("from", "abcdef");
  server_.add("to", "");
  auto from = open(lookup("from"), O_RDONLY), to = open(lookup("to"), O_WRONLY);
  server_.hold_requests(proto::MessageType::kCopyRange);
  auto copying = loop_.start(ops().copy_range(call(), from.file, 0, to.file, 0, 6));
  until([&] { return server_.waiting == 1; });
  server_.restart();
  server_.release();
  until([&] { return copying->has_value(); });
  ASSERT_TRUE(**copying);
  EXPECT_EQ(server_.file("to").data, "abcdef");
  release(from);
  release(to);
}

// SEMANTICS: far-stores-are-tried
TEST_F(RangesTest, AStoreFarOutIsTriedAtOnce) {
  server_.add("f", "");
  auto opened = open(lookup("f"));
  server_.fails[proto::MessageType::kWrite] = EFBIG;
  const auto far = store(std::uint64_t{1} << 44, "x");
  EXPECT_FALSE(ops().try_write(opened.file.get(), far));
  EXPECT_EQ(loop_.run(ops().write(call(), opened.file, far)), Status(Errno(EFBIG)));
  server_.fails.clear();
  ASSERT_TRUE(write(opened, 0, "y"));
  ASSERT_TRUE(fsync(opened)) << "nothing is left of it";
  EXPECT_EQ(server_.file("f").data, "y");
  release(opened);
}

// SEMANTICS: sync-writes-commit
class UncachedRangesTest : public VfsTest {
 protected:
  UncachedRangesTest() { options_.kernel_cache = false; }
};

TEST_F(UncachedRangesTest, ASynchronousWriteIsCommitted) {
  server_.add("f", "");
  auto opened = open(lookup("f"));
  auto synchronous = store(0, "sync");
  synchronous.sync = vfs::SyncWrite::kData;
  EXPECT_FALSE(ops().try_write(opened.file.get(), synchronous));
  ASSERT_TRUE(loop_.run(ops().write(call(), opened.file, synchronous)));
  EXPECT_EQ(server_.count(proto::MessageType::kCommit), 1u);
  EXPECT_EQ(server_.file("f").data, "sync");
  server_.fails[proto::MessageType::kWrite] = ENOSPC;
  EXPECT_EQ(loop_.run(ops().write(call(), opened.file, synchronous)), Status(Errno(ENOSPC)));
  server_.fails.clear();
  release(opened);
}

}  // namespace
}  // namespace foliofs::test
