// If a READ refills a page after the kernel has copied a write(2)'s bytes, but before the WRITE,
// the client has the kernel drop the page again.
#include "src/vfs/refilled_pages.h"

#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {

class RefilledPages : public VfsTest {
 protected:
  void SetUp() override {
    VfsTest::SetUp();
    server_.add("f", std::string(20000, '.'));
    node_ = lookup("f");
    opened_ = open(node_);
  }
  void TearDown() override {
    kernel_.release();
    release(opened_);
    opened_ = {};
    VfsTest::TearDown();
  }
  void invalidate(bool flush = true) {
    auto report = loop_.run(mount_->invalidate(call().caller, "f", std::nullopt, flush));
    ASSERT_TRUE(report);
    kernel_.dropped.clear();
  }
  void read_page(std::uint64_t page) {
    ASSERT_TRUE(loop_.run(ops().read(opened_.file, page * 4096, 4096)));
  }

  // The kernel writes back a page.
  void write_back(const std::string& page, std::uint64_t offset = 4096) {
    auto whole = store(offset, page);
    whole.source = cache::WriteSource::kPageWriteback;
    if (ops().try_write(opened_.file.get(), whole)) return;
    ASSERT_TRUE(loop_.run(ops().write(call(), opened_.file, whole)));
  }

  // Starts a write(2) that is answered once the kernel has dropped pages, which the test holds up.
  std::shared_ptr<std::optional<Status>> start_write(std::uint64_t offset, std::string_view text) {
    kernel_.hold = true;
    auto written = loop_.start(ops().write(call(), opened_.file, store(offset, text)));
    until([&] { return kernel_.waiting == 1; });
    return written;
  }
  void drop_pages() {
    kernel_.release();
    loop_.settle();
  }

  Node node_ = 0;
  vfs::OpenedFile opened_;
};

// SEMANTICS: written-is-read
TEST_F(RefilledPages, AreDroppedBeforeTheWriteIsAnswered) {
  invalidate();
  read_page(1);
  EXPECT_FALSE(ops().try_write(opened_.file.get(), store(5000, "new"))) << "it has to wait";
  ASSERT_TRUE(write(opened_, 5000, "new"));
  EXPECT_EQ(kernel_.dropped, std::vector<Node>{node_});
}

TEST_F(RefilledPages, ConcernOnlyTheFirstWriteAfterANotification) {
  invalidate();
  ASSERT_TRUE(write(opened_, 5000, "first"));
  read_page(1);
  EXPECT_TRUE(ops().try_write(opened_.file.get(), store(5000, "second")));
  EXPECT_TRUE(kernel_.dropped.empty());
}

TEST_F(RefilledPages, AreDroppedOnceWhereSomebodyReadsAndWritesInTurn) {
  invalidate();
  for (int i = 0; i < 3; ++i) {
    read_page(1);
    if (i == 0) {
      ASSERT_TRUE(write(opened_, 5000, "new"));
    } else {
      EXPECT_TRUE(ops().try_write(opened_.file.get(), store(5000, "newer"))) << i;
    }
  }
  EXPECT_EQ(kernel_.dropped.size(), 1u);
}

TEST_F(RefilledPages, AreNotedWhenAReadIsAnsweredAtOnce) {
  ASSERT_TRUE(write(opened_, 4096, std::string(4096, 'o')));
  invalidate(/*flush=*/false);
  read_page(3);  // learns where the file ends
  cache::ReadResult result;
  ASSERT_TRUE(ops().try_read(opened_.file.get(), 4096, 4096, result)) << "it is dirty, so it stays";
  ASSERT_TRUE(write(opened_, 5000, "new"));
  EXPECT_EQ(kernel_.dropped.size(), 1u);
}

// The kernel drops its pages when the reply to an OPEN tells it to.
TEST_F(RefilledPages, AfterAnOpenThatLetsTheKernelDropThem) {
  read_page(1);
  server_.change("f", std::string(20000, '!'));
  auto other = open(node_);
  EXPECT_FALSE(other.keep_cache);
  read_page(1);
  kernel_.dropped.clear();
  ASSERT_TRUE(write(opened_, 5000, "new"));
  EXPECT_EQ(kernel_.dropped, std::vector<Node>{node_});
  release(other);
}

TEST_F(RefilledPages, HereAndThereAreOneRange) {
  vfs::RefilledPages pages;
  for (std::uint64_t page = 0; page < 200; page += 2) pages.fill(ByteRange::of(page * 4096, 1));
  EXPECT_FALSE(pages.refilled_in({0, 1}).empty());
  EXPECT_FALSE(pages.refilled_in(ByteRange::of(198 * 4096, 1)).empty());
  EXPECT_TRUE(pages.refilled_in(ByteRange::of(200 * 4096, 1)).empty());
}

TEST_F(RefilledPages, OfOtherBytesStay) {
  invalidate();
  read_page(0);
  read_page(3);
  ASSERT_TRUE(write(opened_, 5000, "elsewhere"));
  EXPECT_TRUE(kernel_.dropped.empty());
}

TEST_F(RefilledPages, AreNoBusinessOfPageWriteback) {
  invalidate();
  read_page(1);
  auto page = store(4096, "mapped");
  page.source = cache::WriteSource::kPageWriteback;
  ASSERT_TRUE(loop_.run(ops().write(call(), opened_.file, page)));
  EXPECT_TRUE(kernel_.dropped.empty());
  ASSERT_TRUE(write(opened_, 5000, "new"));
  EXPECT_EQ(kernel_.dropped.size(), 1u);
}

// SEMANTICS: written-is-read
// A program has stored to a mapping of the older page, so the kernel writes it back as it drops it.
TEST_F(RefilledPages, ThatAreWrittenBackMeanwhileTakeNothingBack) {
  invalidate();
  read_page(1);
  auto written = start_write(5000, "newer");
  std::string page(4096, '.');
  page.replace(0, 4, "mmmm");
  page.replace(5002 - 4096, 1, "m");
  write_back(page);
  EXPECT_EQ(read(opened_).substr(4090, 16), "......mmmm......");
  EXPECT_EQ(read(opened_).substr(4998, 9), "..nemer..");

  pass(std::chrono::milliseconds(20));
  ASSERT_TRUE(written->has_value()) << "it does not wait for ever";
  page.replace(5000 - 4096, 1, "M");
  write_back(page);
  EXPECT_EQ(read(opened_).substr(4998, 9), "..Memer..") << "the page is still there";

  drop_pages();
  write_back(std::string(4096, '.'));
  EXPECT_EQ(read(opened_).substr(4998, 9), ".........") << "what comes later is newer";
}

// SEMANTICS: written-is-read
TEST_F(RefilledPages, OfWhichSeveralWritesHaveReplacedBytes) {
  invalidate();
  read_page(1);
  kernel_.hold = true;
  for (const char* text : {"first", "2nd"}) {
    auto written = loop_.start(ops().write(call(), opened_.file, store(5000, text)));
    pass(std::chrono::milliseconds(20));
    ASSERT_TRUE(written->has_value());
    read_page(1);
  }
  write_back(std::string(4096, '.'));
  EXPECT_EQ(read(opened_).substr(4998, 9), "..2ndst..");
  drop_pages();
}

TEST_F(RefilledPages, ThatShowTheWriteStayAsTheyAre) {
  invalidate();
  read_page(1);
  auto written = start_write(5000, "new");
  // The page has a byte of the WRITE, so it is not older; a mapping has stored the bytes after it.
  std::string page(4096, '.');
  page.replace(5000 - 4096, 1, "n");
  write_back(page);
  EXPECT_EQ(read(opened_).substr(4998, 6), "..n...");
  drop_pages();
}

TEST_F(RefilledPages, AreLookedAtOneByOne) {
  invalidate();
  read_page(1);
  read_page(3);
  invalidate();
  read_page(3);
  auto written = start_write(8000, std::string(8000, 'n'));
  write_back(std::string(4096, '.'), 12288);
  EXPECT_EQ(read(opened_).substr(12288, 3712), std::string(3712, 'n'));
  drop_pages();
}

TEST_F(RefilledPages, TooManyAreForgotten) {
  invalidate();
  read_page(1);
  kernel_.hold = true;
  for (int i = 0; i < 17; ++i) {
    auto written = loop_.start(ops().write(call(), opened_.file, store(5000, i % 2 ? "." : "n")));
    pass(std::chrono::milliseconds(20));
    ASSERT_TRUE(written->has_value());
    read_page(1);
  }
  std::string page(4096, '.');
  page.replace(5000 - 4096, 1, "n");
  write_back(page);
  EXPECT_EQ(read(opened_).substr(4999, 3), ".n.") << "the page was right";
  drop_pages();
}

TEST_F(RefilledPages, BehindTheEndAreZeros) {
  ASSERT_TRUE(write(opened_, 20000, std::string(100, '.')));
  invalidate();
  read_page(4);
  auto written = start_write(20090, std::string(20, 'n'));
  write_back(std::string(20100 - 16384, '.') + std::string(10, '\0'), 16384);
  EXPECT_EQ(read(opened_).substr(20088), ".." + std::string(20, 'n'));
  drop_pages();
}

TEST_F(RefilledPages, WhileTheNotificationIsOnItsWayEveryWriteMayBeSuchAOne) {
  kernel_.hold = true;
  auto report = loop_.start(mount_->invalidate(call().caller, "f", std::nullopt, true));
  until([&] { return kernel_.waiting == 1; });
  for (int i = 0; i < 2; ++i) {
    read_page(1);
    auto written = loop_.start(ops().write(call(), opened_.file, store(5000, "new")));
    until([&] { return kernel_.waiting == 2 + i; });
    EXPECT_FALSE(written->has_value());
    pass(std::chrono::milliseconds(20));
    EXPECT_TRUE(written->has_value()) << "the kernel may be waiting for the WRITE's own page";
  }
  kernel_.release();
  until([&] { return report->has_value(); });
}

}  // namespace foliofs::test
