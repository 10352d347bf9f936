// Changes of other clients, and replies that overtake each other.
#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {

// Attributes that were fetched before a WRITE was acknowledged must not shrink the file.
class OldAttributes : public VfsTest, public testing::WithParamInterface<MessageType> {
 protected:
  // Runs the query in the background, and forgets the reference to the node that it returned.
  std::shared_ptr<std::optional<bool>> start_query(Node node) {
    switch (GetParam()) {
      case MessageType::kLookup:
        return loop_.start(by_lookup());
      case MessageType::kReadDir:
        return loop_.start(by_readdir());
      default:
        return loop_.start(by_getattr(node));
    }
  }
  Task<bool> by_lookup() {
    auto entry = co_await ops().lookup(call(), vfs::kRootNode, "f");
    co_return entry.has_value();
  }
  Task<bool> by_readdir() {
    auto directory = ops().open_directory(vfs::kRootNode).value().directory;
    auto entries = co_await ops().read_directory(call(), directory, 0, true);
    ops().release_directory(directory.get());
    co_return entries.has_value();
  }
  Task<bool> by_getattr(Node node) {
    auto attributes = co_await ops().getattr(call(), node, nullptr);
    co_return attributes.has_value();
  }
};

// SEMANTICS: attributes-age, own-changes-show
TEST_P(OldAttributes, DoNotShrinkTheFile) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  auto opened = open(node);
  expire();
  server_.hold_replies(GetParam());
  auto query = start_query(node);
  until([&] { return server_.count(GetParam()) >= (GetParam() == MessageType::kLookup ? 2 : 1); });
  ASSERT_TRUE(write(opened, 4, "5678"));
  ASSERT_TRUE(flush(opened));
  ASSERT_FALSE(query->has_value());
  server_.release();
  until([&] { return query->has_value(); });
  EXPECT_EQ(read(opened), "12345678");
  auto to_end = store(0, "90");
  to_end.append = true;
  ASSERT_TRUE(loop_.run(ops().write(call(), opened.file, to_end)));
  ASSERT_TRUE(flush(opened));
  EXPECT_EQ(server_.file("f").data, "1234567890");
  release(opened);
}

INSTANTIATE_TEST_SUITE_P(Queries, OldAttributes,
                         testing::Values(MessageType::kLookup, MessageType::kReadDir,
                                         MessageType::kGetAttr),
                         [](const auto& param) { return proto::message_name(param.param); });

TEST_F(VfsTest, EntriesAreHandedOutWithWhatIsKnownThen) {
  server_.add("a", "");
  server_.add("b", "");
  auto directory = ops().open_directory(vfs::kRootNode).value().directory;
  auto entries = loop_.run(ops().read_directory(call(), directory, 0, true));
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries.value().entries.size(), 2u);
  EXPECT_TRUE(entries.value().end);
  auto& a = entries.value().entries[0];
  auto& b = entries.value().entries[1];

  vfs::AttributeChange change;
  change.valid = proto::kSetMode;
  change.mode = 0600;
  ASSERT_TRUE(loop_.run(ops().setattr(call(), a.entry->node, change, nullptr)));
  ops().refresh(*directory, a);
  ASSERT_TRUE(a.entry);
  EXPECT_EQ(a.entry->attributes.mode, S_IFREG | 0600u);

  // A name that was removed since is not put into the kernel's cache.
  ASSERT_TRUE(loop_.run(ops().unlink(call(), vfs::kRootNode, "b", false)));
  ops().refresh(*directory, b);
  EXPECT_FALSE(b.entry);
  ops().release_directory(directory.get());
}

TEST_F(VfsTest, OldEntriesAreHandedOutWithoutAttributes) {
  server_.add("a", "");
  auto directory = ops().open_directory(vfs::kRootNode).value().directory;
  auto entries = loop_.run(ops().read_directory(call(), directory, 0, true));
  ASSERT_TRUE(entries);
  expire();
  ops().refresh(*directory, entries.value().entries[0]);
  EXPECT_FALSE(entries.value().entries[0].entry);
  EXPECT_EQ(entries.value().entries[0].name, "a");
  ops().release_directory(directory.get());
}

// The kernel still has old pages while the invalidation of another open drops them.
// SEMANTICS: open-sees-closed
TEST_F(VfsTest, ASecondOpenWaitsForTheFirstOnesInvalidation) {
  server_.add("f", "old");
  const Node node = lookup("f");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "old");
  server_.change("f", "new");
  kernel_.hold = true;
  auto first = loop_.start(ops().open(call(), node, O_RDONLY));
  until([&] { return kernel_.waiting > 0; });
  auto second = loop_.start(ops().open(call(), node, O_RDONLY));
  auto asking = loop_.start(ops().getattr(call(), node, nullptr));
  pass(std::chrono::seconds(3));
  EXPECT_FALSE(first->has_value());
  EXPECT_FALSE(second->has_value());
  EXPECT_FALSE(asking->has_value());
  // Requests that the kernel may be waiting for do not wait.
  EXPECT_EQ(read(opened), "new");
  ASSERT_TRUE(write(opened, 3, "er"));
  vfs::AttributeChange change;
  change.valid = proto::kSetSize;
  change.size = 4;
  ASSERT_TRUE(loop_.run(ops().setattr(call(), node, change, opened.file)));
  ASSERT_TRUE(loop_.run(ops().setattr(call(), node, {}, nullptr)));
  ASSERT_TRUE(flush(opened));
  kernel_.release();
  until([&] { return first->has_value() && second->has_value() && asking->has_value(); });
  EXPECT_FALSE((*first)->value().keep_cache);
  release((*first)->value());
  release((*second)->value());
  release(opened);
}

// OPEN's reply carries no attributes, so the kernel would read only up to the old size.
// SEMANTICS: open-sees-closed
TEST_F(VfsTest, AnOpenTellsTheKernelOfAnotherSize) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  for (const auto* content : {"12345678", "12"}) {
    server_.change("f", content);
    auto refused = loop_.run(ops().open(call(), node, O_RDWR));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Errno(ESTALE));
    EXPECT_EQ(lookup("f"), node);
    auto opened = open(node);
    EXPECT_EQ(read(opened), content);
    release(opened);
  }
}

// SEMANTICS: open-sees-closed
TEST_F(VfsTest, WhoLooksNothingUpOpensAtTheSecondTry) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  server_.change("f", "12345678");
  vfs::Call one = call(), other = call(), unknown = call();
  one.thread = 1;
  other.thread = 2;
  unknown.thread = 0;
  EXPECT_FALSE(loop_.run(ops().open(one, node, O_RDWR)));
  EXPECT_FALSE(loop_.run(ops().open(other, node, O_RDWR)));
  for (const vfs::Call& again : {one, other, unknown}) {
    auto opened = loop_.run(ops().open(again, node, O_RDWR));
    ASSERT_TRUE(opened) << again.thread;
    release(opened.value());
  }
}

// The kernel retries an open after ESTALE once, and returns a second ESTALE to the program.
// SEMANTICS: open-sees-closed
TEST_F(VfsTest, NobodyIsRefusedTwiceInARow) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  server_.change("f", "12345678");
  EXPECT_FALSE(loop_.run(ops().open(call(), node, O_RDWR)));
  lookup("f");
  vfs::Call other = call();
  other.thread = 2;
  auto meanwhile = loop_.run(ops().open(other, node, O_RDWR));
  ASSERT_TRUE(meanwhile);
  server_.change("f", "12");
  auto opened = loop_.run(ops().open(call(), node, O_RDWR));
  ASSERT_TRUE(opened);
  release(opened.value());
  release(meanwhile.value());
}

TEST_F(VfsTest, AFirstOpenTellsTheKernelOfAnotherTime) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  server_.change("f", "abcd");
  auto opened = open(node);
  EXPECT_EQ(kernel_.dropped, std::vector<Node>{node});
  release(opened);

  server_.add("g", "");
  auto unchanged = open(lookup("g"));
  EXPECT_EQ(kernel_.dropped.size(), 1u);
  release(unchanged);
}

// The kernel ignores the size in the reply to a request that it sent before it dropped pages.
TEST_F(VfsTest, AStatThatFindsGrowthTellsTheKernelApart) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  auto opened = open(node);
  server_.change("f", "abcdefgh");
  expire();
  EXPECT_EQ(stat(node).size, 8u);
  EXPECT_EQ(kernel_.extended, (std::vector<std::pair<std::uint64_t, char>>{{8, 'h'}}));
  server_.change("f", "ab");
  expire();
  EXPECT_EQ(stat(node).size, 2u);
  EXPECT_EQ(kernel_.extended.size(), 1u);
  release(opened);
}

// A write(2) has extended the kernel's file to this size already, and the kernel's last byte may be
// newer than the cache's.
TEST_F(VfsTest, TheKernelIsNotToldOfGrowthThatItHasWritten) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  auto opened = open(node);
  ASSERT_TRUE(write(opened, 4, "5678"));
  ASSERT_TRUE(flush(opened));
  server_.change("f", "abcdefgh");
  expire();
  EXPECT_EQ(stat(node).size, 8u);
  EXPECT_TRUE(kernel_.extended.empty());
  release(opened);
}

// Without an open, the client could not read the last byte, and a reader that joined that fetch
// would fail with it.
TEST_F(VfsTest, AStatOfAFileThatNobodyHasOpenReadsNothing) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "1234");
  release(opened);
  server_.change("f", "12345678");
  expire();
  const std::size_t reads = server_.count(MessageType::kRead);
  EXPECT_EQ(stat(node).size, 8u);
  EXPECT_EQ(server_.count(MessageType::kRead), reads);
}

// SEMANTICS: open-sees-closed
TEST_F(VfsTest, AnOpenWhoseReplyAWriteOvertookSeesWhatTheWriteWasTold) {
  server_.add("f", "aaaa");
  const Node node = lookup("f");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "aaaa");
  server_.change("f", "bbbb");
  server_.hold_replies(MessageType::kOpen);
  auto second = loop_.start(ops().open(call(), node, O_RDONLY));
  until([&] { return server_.count(MessageType::kOpen) == 2; });
  server_.change("f", "cccc");
  ASSERT_TRUE(write(opened, 0, "X"));
  ASSERT_TRUE(flush(opened));
  server_.release();
  until([&] { return second->has_value(); });
  EXPECT_FALSE((*second)->value().keep_cache);
  EXPECT_EQ(read((*second)->value()), "Xccc");
  release((*second)->value());
  release(opened);
}

TEST_F(VfsTest, AForeignChangeThatAWriteFindsIsLookedAtByTheNextStat) {
  server_.add("f", "12345678");
  const Node node = lookup("f");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "12345678");
  server_.change("f", "abcdefgh");
  ASSERT_TRUE(write(opened, 0, "X"));
  ASSERT_TRUE(flush(opened));
  EXPECT_EQ(ops().attribute_timeout_us(node).count(), 0);
  stat(node);
  EXPECT_EQ(read(opened), "Xbcdefgh");
  release(opened);
}

// In the page with the old end, the kernel has zeros after that end.
TEST_F(VfsTest, GrowthDropsTheKernelsPagesFromTheOldEndOn) {
  server_.add("f", "12");
  const Node node = lookup("f");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "12");
  server_.file("f").data = "12345";
  expire();
  kernel_.dropped.clear();
  EXPECT_EQ(stat(node).size, 5u);
  EXPECT_EQ(kernel_.dropped, std::vector<std::uint64_t>{node});
  release(opened);
}

// SEMANTICS: no-old-bytes
TEST_F(VfsTest, AReadAfterInvalidateSeesWhereTheFileEndsNow) {
  server_.add("f", "old");
  const Node node = lookup("f");
  auto opened = open(node);
  EXPECT_EQ(read(opened), "old");
  server_.change("f", "longer than it was");
  auto report = loop_.run(mount_->invalidate(call().caller, "f", std::nullopt, true));
  ASSERT_TRUE(report);
  EXPECT_EQ(read(opened), "longer than it was");
  release(opened);
}

// SEMANTICS: own-changes-show
TEST_F(VfsTest, ASizeIsKnownThoughChangesOfOursOvertakeEachAnswer) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  auto opened = open(node);
  server_.change("f", "12345678");
  vfs::AttributeChange mode;
  mode.valid = proto::kSetMode;
  mode.mode = 0600;
  expire();
  server_.hold_replies(MessageType::kGetAttr);
  auto asked = loop_.start(ops().getattr(call(), node, nullptr));
  for (int query = 0; query < 3; ++query) {
    until([&] { return server_.waiting == 1; });
    ASSERT_TRUE(loop_.run(ops().setattr(call(), node, mode, nullptr)));
    server_.release_these_replies();
  }
  until([&] { return asked->has_value(); });
  ASSERT_TRUE(asked->value());
  EXPECT_EQ(asked->value().value().size, 8u);
  server_.release();
  release(opened);
}

// SEMANTICS: own-changes-show
TEST_F(VfsTest, AnAppendDoesNotHideThatOthersHaveCutTheFile) {
  server_.add("f", std::string(1000, '.'));
  const Node node = lookup("f");
  auto opened = open(node);
  server_.change("f", "1234");
  expire();
  server_.hold_replies(MessageType::kGetAttr);
  auto asked = loop_.start(ops().getattr(call(), node, nullptr));
  auto append = store(0, "ab");
  append.append = true;
  for (int query = 0; query < 3; ++query) {
    until([&] { return server_.waiting == 1; });
    ASSERT_TRUE(loop_.run(ops().write(call(), opened.file, append)));
    server_.release_these_replies();
  }
  until([&] { return asked->has_value(); });
  ASSERT_TRUE(asked->value());
  EXPECT_EQ(asked->value().value().size, 10u);
  EXPECT_EQ(read(opened), "1234ababab");
  EXPECT_EQ(server_.count(MessageType::kGetAttr), 3u) << "a READ need not ask once more";
  release(opened);
}

// SEMANTICS: attributes-age
TEST_F(VfsTest, AnAnswerThatWasOvertakenIsShownWhereNothingNewerIsKnown) {
  server_.add("f", "1234");
  const Node node = lookup("f");
  server_.change("f", "12345678");
  server_.file("f").mode = S_IFREG | 0600;
  expire();
  server_.fails[MessageType::kSetXattr] = ENOSPC;  // then the effect of the change is unknown
  server_.hold_replies(MessageType::kGetAttr);
  auto asked = loop_.start(ops().getattr(call(), node, nullptr));
  for (int query = 0; query < 3; ++query) {
    until([&] { return server_.waiting == 1; });
    EXPECT_FALSE(loop_.run(ops().set_xattr(call(), node, "user.a", {}, 0)));
    server_.release_these_replies();
  }
  until([&] { return asked->has_value(); });
  ASSERT_TRUE(asked->value());
  EXPECT_EQ(asked->value().value().size, 8u);
  EXPECT_EQ(asked->value().value().mode, S_IFREG | 0600u);
  EXPECT_EQ(ops().attribute_timeout_us(node).count(), 0) << "it is asked for again";
}

}  // namespace foliofs::test
