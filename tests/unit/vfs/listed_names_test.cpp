// Names that the kernel looks up one after the other: when the client asks for a listing instead,
// and which lookups it answers from it.
#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {
namespace {

class ListedNamesTest : public VfsTest {
 protected:
  void SetUp() override {
    VfsTest::SetUp();
    for (const char* name : {"a", "b", "c", "d"}) server_.add(name, name);
    for (const char* name : {"a", "b", "c", "d"}) lookup(name);  // the kernel knows them
    expire();
    server_.seen.clear();
  }
  // Handles a LOOKUP as from the kernel.
  std::string find(const std::string& name) {
    if (auto known = ops().try_lookup(vfs::kRootNode, name)) return "known";
    auto entry = loop_.run(ops().lookup(call(), vfs::kRootNode, name));
    return !entry ? errno_name(entry.error()) : entry.value().node == 0 ? "absent" : "found";
  }
  std::size_t lookups() const { return server_.count(MessageType::kLookup); }
  std::size_t listings() const { return server_.count(MessageType::kReadDir); }
};

TEST_F(ListedNamesTest, OneListingTakesThePlaceOfManyLookups) {
  EXPECT_EQ(find("a"), "found");
  EXPECT_EQ(find("b"), "found");
  EXPECT_EQ(find("c"), "known");
  EXPECT_EQ(find("d"), "known");
  EXPECT_EQ(lookups(), 1u);
  EXPECT_EQ(listings(), 1u);
}

// SEMANTICS: attributes-age
TEST_F(ListedNamesTest, AreBelievedAsLongAsAttributes) {
  find("a");
  find("b");
  pass(options_.actimeo_us - std::chrono::milliseconds(1));
  auto known = ops().try_lookup(vfs::kRootNode, "c");
  ASSERT_TRUE(known);
  EXPECT_LE(known->name_timeout_us, std::chrono::milliseconds(1));
  EXPECT_LE(known->attribute_timeout_us, std::chrono::milliseconds(1));
  pass(std::chrono::milliseconds(2));
  EXPECT_EQ(find("c"), "found");
  EXPECT_EQ(lookups(), 2u);
}

TEST_F(ListedNamesTest, ANameThatIsNotInTheListingIsAskedFor) {
  find("a");
  find("b");
  server_.add("new", "");
  EXPECT_EQ(find("new"), "found");
  EXPECT_EQ(find("none"), "absent");
  EXPECT_EQ(lookups(), 3u);
}

// SEMANTICS: own-changes-show
TEST_F(ListedNamesTest, AChangeOfOursInTheDirectoryMakesThemVoid) {
  find("a");
  find("b");
  ASSERT_TRUE(loop_.run(ops().rename(call(), vfs::kRootNode, "d", vfs::kRootNode, "c", 0)));
  EXPECT_EQ(find("d"), "absent");
  EXPECT_EQ(find("c"), "found");
  EXPECT_EQ(lookups(), 3u);
}

TEST_F(ListedNamesTest, AListingThatAChangeHasOvertakenIsNotBelieved) {
  find("a");
  server_.hold_replies(MessageType::kReadDir);
  auto looking = loop_.start(ops().lookup(call(), vfs::kRootNode, "b"));
  until([&] { return server_.waiting == 1; });
  ASSERT_TRUE(loop_.run(ops().unlink(call(), vfs::kRootNode, "c", false)));
  server_.release();
  until([&] { return looking->has_value(); });
  EXPECT_TRUE(**looking);
  EXPECT_EQ(find("c"), "absent");
}

// SEMANTICS: paths-are-looked-up-again
TEST_F(ListedNamesTest, AfterEstaleTheServerIsAsked) {
  const Node old = lookup("c");
  find("a");
  find("b");
  server_.file("c").nlink = 0;
  server_.add("c", "another");
  EXPECT_EQ(find("c"), "known");
  EXPECT_EQ(loop_.run(ops().open(call(), old, O_RDONLY)).error(), Errno(ESTALE));
  EXPECT_EQ(find("c"), "found");
  EXPECT_NE(lookup("c"), old);
}

TEST_F(ListedNamesTest, WhoMakesAndRemovesNamesHasNothingListed) {
  for (const char* name : {"a", "b", "c", "d"}) {
    find(name);
    ASSERT_TRUE(loop_.run(ops().unlink(call(), vfs::kRootNode, name, false)));
    EXPECT_EQ(find(std::string("new-") + name), "absent");
  }
  EXPECT_EQ(listings(), 0u);
}

TEST_F(ListedNamesTest, ALongDirectoryIsTriedOnce) {
  server_.most_entries = 2;
  find("a");
  EXPECT_EQ(find("d"), "found");
  EXPECT_EQ(find("d"), "found");
  expire();
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(find(name), "found");
  EXPECT_EQ(listings(), 1u);
}

TEST_F(ListedNamesTest, OneThatMayNotBeReadIsSearchedAllTheSame) {
  server_.fails[MessageType::kReadDir] = EACCES;
  for (const char* name : {"a", "b", "c", "d"}) EXPECT_EQ(find(name), "found");
  EXPECT_EQ(listings(), 1u);
  EXPECT_EQ(lookups(), 4u);
}

}  // namespace
}  // namespace foliofs::test
