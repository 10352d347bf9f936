// Forgetting: the kernel is asked to forget files once the inodes' share of memory is used up.
#include <set>

#include "tests/unit/vfs/leases_fixture.h"

namespace foliofs::test {
namespace {

class ForgettingTest : public LeasesTest {
 protected:
  ForgettingTest() {
    server_.gives_leases = false;
    // Dirty bytes may take all of cache_size, so nothing of it can be set aside for inodes.
    options_.cache.dirty_limit = options_.cache.cache_size;
    options_.inode_allowance = 64 << 10;
  }

  // The kernel forgets every file that it is asked to forget, except those in `kept_`.
  void SetUp() override {
    LeasesTest::SetUp();
    kernel_.on_forget = [this](const std::vector<vfs::KernelFile>& files) {
      for (const auto& file : files) {
        if (kept_.contains(file.id)) continue;
        ops().forget(file.id, 1 << 20);
        forgotten_.push_back(file.id);
      }
    };
  }

  std::vector<Node> look_up(const std::string& prefix, int files) {
    std::vector<Node> nodes;
    for (int i = 0; i < files; ++i) {
      const std::string name = prefix + std::to_string(i);
      server_.add(name, "content");
      nodes.push_back(lookup(name));
    }
    return nodes;
  }
  std::uint64_t bytes() const { return mount_->stats().inode_bytes; }
  bool was_forgotten(Node node) const {
    return std::find(forgotten_.begin(), forgotten_.end(), node) != forgotten_.end();
  }

  std::set<Node> kept_;
  std::vector<Node> forgotten_;
};

// SEMANTICS: one-budget
TEST_F(ForgettingTest, BeginsWhenTheShareIsUsedUpWithThoseUsedLongestAgo) {
  const auto few = look_up("few", 20);
  EXPECT_LE(bytes(), options_.inode_allowance);
  EXPECT_TRUE(kernel_.forgotten.empty());
  const auto many = look_up("many", 300);
  pass(std::chrono::seconds(1));
  EXPECT_LE(bytes(), options_.inode_allowance);
  ASSERT_GE(forgotten_.size(), few.size());
  EXPECT_TRUE(std::equal(few.begin(), few.end(), forgotten_.begin()));
  EXPECT_FALSE(was_forgotten(many.back()));
}

TEST_F(ForgettingTest, WhatIsLookedUpAgainIsNotOld) {
  const auto few = look_up("few", 3);
  (void)look_up("more", 20);
  EXPECT_EQ(lookup("few1"), few[1]);
  (void)look_up("many", 60);
  pass(std::chrono::seconds(1));
  EXPECT_TRUE(was_forgotten(few[0]));
  EXPECT_FALSE(was_forgotten(few[1]));
  EXPECT_TRUE(was_forgotten(few[2]));
}

TEST_F(ForgettingTest, WhatWasOpenedLatelyIsNotOld) {
  const auto few = look_up("few", 3);
  (void)look_up("more", 20);
  release(open(few[1]));
  (void)look_up("many", 58);
  pass(std::chrono::seconds(1));
  EXPECT_TRUE(was_forgotten(few[0]));
  EXPECT_FALSE(was_forgotten(few[1]));
}

TEST_F(ForgettingTest, WhatIsOpenOrNotWrittenStays) {
  server_.add("open", "");
  server_.add("dirty", "");
  const Node held = lookup("open");
  auto opened = open(held);
  const Node dirty = lookup("dirty");
  auto writer = open(dirty);
  server_.fails[MessageType::kWrite] = EIO;
  ASSERT_TRUE(write(writer, 0, "x"));
  release(writer);
  (void)look_up("many", 300);
  pass(std::chrono::seconds(1));
  EXPECT_FALSE(forgotten_.empty());
  EXPECT_FALSE(was_forgotten(held));
  EXPECT_FALSE(was_forgotten(dirty));
  server_.fails.clear();
  release(opened);
}

TEST_F(ForgettingTest, AForgottenFileIsFoundAgain) {
  const auto nodes = look_up("f", 300);
  pass(std::chrono::seconds(1));
  ASSERT_TRUE(was_forgotten(nodes.front()));
  const Node again = lookup("f0");
  EXPECT_NE(again, nodes.front());
  auto opened = open(again);
  EXPECT_EQ(read(opened), "content");
  release(opened);
}

TEST_F(ForgettingTest, OneBatchAtATimeAndLessOftenWhenItDoesNotHelp) {
  kernel_.on_forget = {};
  (void)look_up("f", 1500);
  kernel_.forgotten.clear();
  pass(std::chrono::seconds(30));
  ASSERT_GE(kernel_.forgotten.size(), 10u);
  EXPECT_LE(kernel_.forgotten.size(), 50u);
  std::set<Node> asked;
  for (const auto& files : kernel_.forgotten) {
    EXPECT_LE(files.size(), 1024u);
    for (const auto& file : files) asked.insert(file.id);
  }
  EXPECT_EQ(asked.size(), 1500u) << "each in its turn";
}

TEST_F(ForgettingTest, AListingBringsNoMoreWhileTheKernelForgetsNothing) {
  kernel_.on_forget = {};
  (void)look_up("f", 300);
  auto opened = ops().open_directory(vfs::kRootNode);
  ASSERT_TRUE(opened);
  auto directory = opened.value().directory;
  auto listed = loop_.run(ops().read_directory(call(), directory, 0, true));
  ASSERT_TRUE(listed);
  EXPECT_GE(listed.value().entries.size(), 300u);
  for (const auto& entry : listed.value().entries) EXPECT_FALSE(entry.entry) << entry.name;
  ops().release_directory(directory.get());
}

TEST_F(ForgettingTest, TheShareFollowsTheCache) {
  (void)look_up("f", 300);
  const std::size_t before = forgotten_.size();
  EXPECT_GT(before, 0u);
  ASSERT_TRUE(mount_->set_live_options(std::vector<vfs::OptionPair>{{"cache_size", "1g"}}));
  (void)look_up("g", 300);
  pass(std::chrono::seconds(1));
  EXPECT_EQ(forgotten_.size(), before);
}

// --- Leases -------------------------------------------------------------------------------------

class DroppedLeasesTest : public LeasesTest {
 protected:
  // How many leases the client has given up so far.
  std::size_t given_up() const {
    std::size_t files = 0;
    for (const auto& message : server_.returned) files += message.dropped.size();
    return files;
  }
};

TEST_F(DroppedLeasesTest, TheServerIsToldOfThemTogether) {
  for (int i = 0; i < 10; ++i) {
    server_.add("f" + std::to_string(i), "");
    ops().forget(lookup("f" + std::to_string(i)), 1);
  }
  EXPECT_EQ(given_up(), 0u);
  pass(std::chrono::seconds(2));
  EXPECT_EQ(given_up(), 10u);
  EXPECT_EQ(server_.returned.size(), 1u);
}

TEST_F(DroppedLeasesTest, WhatIsKnownAgainIsNotGivenUp) {
  server_.add("f", "");
  ops().forget(lookup("f"), 1);
  (void)lookup("f");
  pass(std::chrono::seconds(2));
  EXPECT_EQ(given_up(), 0u);
}

TEST_F(DroppedLeasesTest, AReplyWhileOneIsGivenUpGivesNone) {
  server_.add("f", "");
  ops().forget(lookup("f"), 1);
  server_.hold_requests(MessageType::kReturnLeases);
  pass(std::chrono::milliseconds(1500));
  EXPECT_EQ(server_.waiting, 1);
  const Node node = lookup("f");
  EXPECT_LE(attribute_timeout(node), options_.actimeo_us);
  server_.release();
  pass(std::chrono::milliseconds(10));
  EXPECT_EQ(given_up(), 1u);
  expire();
  (void)stat(node);
  EXPECT_EQ(attribute_timeout(node), kBelieved);
}

TEST_F(DroppedLeasesTest, AReplyToWhatWasAskedBeforeGivesNone) {
  server_.add("f", "");
  ops().forget(lookup("f"), 1);
  server_.hold_replies(MessageType::kLookup);
  auto looked_up = loop_.start(ops().lookup(call(), vfs::kRootNode, "f"));
  until([this] { return server_.waiting == 1; });
  pass(std::chrono::seconds(2));
  EXPECT_EQ(given_up(), 1u);
  server_.release();
  until([&] { return looked_up->has_value(); });
  EXPECT_LE(attribute_timeout((*looked_up)->value().node), options_.actimeo_us);
}

}  // namespace
}  // namespace foliofs::test
