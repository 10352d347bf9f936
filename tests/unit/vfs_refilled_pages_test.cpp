// Pages that a READ brought back between the copy of a write(2) and its WRITE are dropped again.
#include "tests/unit/vfs_fixture.h"

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
  void invalidate() {
    auto report = loop_.run(mount_->invalidate(call().caller, "f", std::nullopt, true));
    ASSERT_TRUE(report);
    kernel_.dropped.clear();
  }
  void read_page(std::uint64_t page) {
    ASSERT_TRUE(loop_.run(ops().read(opened_.file, page * 4096, 4096)));
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
