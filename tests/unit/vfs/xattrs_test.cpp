// Extended attributes and set-id bits: what the client asks of the server, and what it remembers.
#include <sys/xattr.h>

#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {
namespace {

class XattrsTest : public VfsTest {
 protected:
  static std::vector<std::byte> bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
  }
  Status set(Node node, const std::string& name, std::string_view value, int flags = 0) {
    return loop_.run(ops().set_xattr(call(), node, name, bytes_of(value), flags));
  }
  Result<std::string> get(Node node, const std::string& name) {
    return text_of(loop_.run(ops().get_xattr(call(), node, name)));
  }
  Status remove(Node node, const std::string& name, std::uint32_t uid = 1000) {
    return loop_.run(ops().remove_xattr(call(uid), node, name));
  }
  static Result<std::string> text_of(const Result<std::vector<std::byte>>& bytes) {
    if (!bytes) return bytes.error();
    return std::string(reinterpret_cast<const char*>(bytes.value().data()), bytes.value().size());
  }
  std::size_t asked() const { return server_.count(MessageType::kGetXattr); }

  // A store by a process without CAP_FSETID.
  static vfs::Store unprivileged(std::string_view text) {
    vfs::Store made = store(0, text);
    made.kill_privileges = true;
    return made;
  }
  // The number of WRITEs so far that clear set-id bits.
  std::size_t killing_writes() const {
    return static_cast<std::size_t>(
        std::count_if(server_.write_flags.begin(), server_.write_flags.end(),
                      [](auto flags) { return (flags & proto::kWriteKillPrivileges) != 0; }));
  }
};

TEST_F(XattrsTest, ValuesAndListsCome) {
  server_.add("f", "");
  const Node node = lookup("f");
  EXPECT_EQ(get(node, "user.a"), Result<std::string>(Errno(ENODATA)));
  ASSERT_TRUE(set(node, "user.a", "value"));
  ASSERT_TRUE(set(node, "user.b", ""));
  EXPECT_EQ(get(node, "user.a").value(), "value");
  EXPECT_EQ(get(node, "user.b").value(), "");
  EXPECT_EQ(text_of(loop_.run(ops().list_xattrs(call(), node))).value(),
            std::string("user.a\0user.b\0", 14));
  EXPECT_EQ(set(node, "user.a", "x", XATTR_CREATE), Status(Errno(EEXIST)));
  EXPECT_EQ(set(node, "user.c", "x", XATTR_REPLACE), Status(Errno(ENODATA)));
  EXPECT_EQ(set(node, "user.a", std::string(kMaxXattrBytes + 1, 'x')), Status(Errno(E2BIG)));
  ASSERT_TRUE(remove(node, "user.a"));
  EXPECT_EQ(remove(node, "user.a"), Status(Errno(ENODATA)));
}

TEST_F(XattrsTest, WhatAFileDoesNotHaveIsRememberedAsLongAsItsAttributes) {
  server_.add("f", "");
  const Node node = lookup("f");
  EXPECT_FALSE(ops().lacks_xattr(node, "user.a"));
  (void)get(node, "user.a");
  EXPECT_TRUE(ops().lacks_xattr(node, "user.a"));
  EXPECT_FALSE(ops().lacks_xattr(node, "user.b"));
  expire();
  EXPECT_FALSE(ops().lacks_xattr(node, "user.a")) << "as old as attributes may be";
  stat(node);
  EXPECT_TRUE(ops().lacks_xattr(node, "user.a")) << "nobody has changed the file";
  ASSERT_TRUE(set(node, "user.a", "value"));
  EXPECT_FALSE(ops().lacks_xattr(node, "user.a"));
}

TEST_F(XattrsTest, AForeignChangeMakesItForget) {
  server_.add("f", "");
  const Node node = lookup("f");
  (void)get(node, "user.a");
  server_.file("f").xattrs["user.a"] = "theirs";
  server_.change("f", "");
  expire();
  stat(node);
  EXPECT_FALSE(ops().lacks_xattr(node, "user.a"));
  EXPECT_EQ(get(node, "user.a").value(), "theirs");
}

TEST_F(XattrsTest, AnAnswerFromBeforeOurChangeIsNotRemembered) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.hold_replies(MessageType::kGetXattr);
  auto asking = loop_.start(ops().get_xattr(call(), node, "user.a"));
  until([&] { return server_.waiting == 1; });
  ASSERT_TRUE(set(node, "user.a", "value"));
  server_.release();
  until([&] { return asking->has_value(); });
  EXPECT_FALSE(**asking);
  EXPECT_FALSE(ops().lacks_xattr(node, "user.a"));
}

// SEMANTICS: xattrs-as-local
TEST_F(XattrsTest, TheServerSaysOfWhichThereAreNone) {
  server_.add("f", "");
  server_.add("link", "target", S_IFLNK | 0777);
  server_.add("labelled", "").xattrs["security.label"] = "x";
  const Node node = lookup("f");
  EXPECT_TRUE(ops().lacks_xattr(node, "system.posix_acl_access"));
  EXPECT_TRUE(ops().lacks_xattr(node, "system.posix_acl_default"));
  EXPECT_TRUE(ops().lacks_xattr(node, "security.capability"));
  EXPECT_FALSE(ops().lacks_xattr(node, "security.")) << "no name";
  EXPECT_FALSE(ops().lacks_xattr(node, "system.other"));
  EXPECT_FALSE(ops().lacks_xattr(node, "user.a"));
  EXPECT_FALSE(ops().lacks_xattr(lookup("labelled"), "security.capability"));
  const Node link = lookup("link");
  EXPECT_TRUE(ops().lacks_xattr(link, "security.capability"));
  EXPECT_FALSE(ops().lacks_xattr(link, "system.posix_acl_access")) << "EOPNOTSUPP";
  expire();
  EXPECT_FALSE(ops().lacks_xattr(node, "security.capability"));
}

// SEMANTICS: xattrs-as-local
TEST_F(XattrsTest, AnAclThatAnotherHasSetShowsWithTheAttributes) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.file("f").xattrs["system.posix_acl_access"] = "theirs";
  server_.change("f", "");
  expire();
  stat(node);
  EXPECT_FALSE(ops().lacks_xattr(node, "system.posix_acl_access"));
  EXPECT_EQ(get(node, "system.posix_acl_access").value(), "theirs");
}

TEST_F(XattrsTest, AnAclThatWasSetHereIsNotForgottenForAnOlderAnswer) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.hold_replies(MessageType::kLookup);
  auto looking = loop_.start(ops().lookup(call(), vfs::kRootNode, "f"));
  until([&] { return server_.waiting == 1; });
  ASSERT_TRUE(set(node, "system.posix_acl_access", "ours"));
  EXPECT_FALSE(ops().lacks_xattr(node, "system.posix_acl_access"));
  server_.release();
  until([&] { return looking->has_value(); });
  EXPECT_FALSE(ops().lacks_xattr(node, "system.posix_acl_access"));
  lookup("f");
  EXPECT_FALSE(ops().lacks_xattr(node, "system.posix_acl_access"));
  ASSERT_TRUE(remove(node, "system.posix_acl_access"));
  lookup("f");
  EXPECT_TRUE(ops().lacks_xattr(node, "system.posix_acl_access"));
}

// SEMANTICS: set-id-cleared
TEST_F(XattrsTest, ANewFileIsKnownToHaveNoCapability) {
  auto created = create("new", O_RDWR | O_CREAT);
  ASSERT_TRUE(created);
  EXPECT_TRUE(ops().lacks_xattr(created.value().entry.node, "security.capability"));
  EXPECT_FALSE(ops().lacks_xattr(created.value().entry.node, "user.a"));
  release(created.value().opened);
}

TEST_F(XattrsTest, WhatIsDirtyIsWrittenBeforeOneIsSet) {
  server_.add("f", "");
  const Node node = lookup("f");
  auto opened = open(node);
  ASSERT_TRUE(write(opened, 0, "stored"));
  ASSERT_TRUE(set(node, "user.a", "value"));
  EXPECT_EQ(server_.file("f").data, "stored");
  release(opened);
}

TEST_F(XattrsTest, ACapabilityThatTheKernelTakesAwayIsLeftToTheServer) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.fails[MessageType::kRemoveXattr] = EPERM;
  EXPECT_TRUE(remove(node, "security.capability"));
  EXPECT_EQ(remove(node, "security.capability", 0), Status(Errno(EPERM)));
  EXPECT_EQ(remove(node, "security.other"), Status(Errno(EPERM)));
}

TEST_F(XattrsTest, ARepeatedChangeThatHadHappenedSucceeds) {
  server_.add("f", "");
  const Node node = lookup("f");
  server_.hold_replies(MessageType::kSetXattr);
  auto setting =
      loop_.start(ops().set_xattr(call(), node, "user.a", bytes_of("value"), XATTR_CREATE));
  until([&] { return server_.waiting == 1; });
  server_.release();
  server_.restart();
  until([&] { return setting->has_value(); });
  EXPECT_TRUE(**setting);
  EXPECT_EQ(server_.file("f").xattrs["user.a"], "value");
  EXPECT_EQ(server_.count(MessageType::kSetXattr), 2u);
}

// SEMANTICS: set-id-cleared
TEST_F(XattrsTest, AnUnprivilegedStoreThroughRootsOpenTakesTheBitsAwayOnce) {
  server_.add("f", "content", S_IFREG | 06777);
  const Node node = lookup("f");
  auto opened = loop_.run(ops().open(call(0), node, O_RDWR)).value();
  ASSERT_TRUE(loop_.run(ops().write(call(0), opened.file, store(0, "root"))));
  EXPECT_EQ(stat(node).mode, S_IFREG | 06777u);
  EXPECT_EQ(killing_writes(), 0u);
  ASSERT_TRUE(loop_.run(ops().write(call(), opened.file, unprivileged("user"))));
  EXPECT_EQ(ops().try_getattr(node, false)->mode, S_IFREG | 0777u) << "at once";
  ASSERT_TRUE(flush(opened));
  EXPECT_EQ(killing_writes(), 1u);
  ASSERT_TRUE(loop_.run(ops().write(call(0), opened.file, store(0, "more"))));
  ASSERT_TRUE(flush(opened));
  EXPECT_EQ(killing_writes(), 1u);
  release(opened);
}

// SEMANTICS: set-id-cleared
TEST_F(XattrsTest, AModeThatIsSetAfterAStoreStays) {
  server_.add("f", "content");
  const Node node = lookup("f");
  auto opened = open(node);
  ASSERT_TRUE(write(opened, 0, "stored"));
  vfs::AttributeChange change;
  change.valid = proto::kSetMode;
  change.mode = 04755;
  ASSERT_TRUE(loop_.run(ops().setattr(call(), node, change, nullptr)));
  EXPECT_EQ(server_.file("f").data, "storedt");
  const std::size_t writes = server_.count(MessageType::kWrite);
  ASSERT_TRUE(flush(opened));
  EXPECT_EQ(server_.count(MessageType::kWrite), writes) << "nothing is left to take them away";
  release(opened);
}

TEST_F(XattrsTest, WhoMayNotWriteDoesNotClearBitsByChown) {
  server_.add("f", "content", S_IFREG | 06755);
  const Node node = lookup("f");
  server_.fails[MessageType::kSetAttr] = EPERM;
  auto nothing_set = [&] {
    return loop_.run(ops().setattr(call(), node, vfs::AttributeChange(), nullptr));
  };
  EXPECT_EQ(nothing_set().error(), Errno(EPERM));
  auto opened = open(node);
  EXPECT_TRUE(nothing_set()) << "a write is about to come";
  release(opened);
}

TEST_F(XattrsTest, TheUmaskGoesToTheServer) {
  vfs::Call masked = call();
  masked.umask = 027;
  auto created = loop_.run(ops().create(masked, vfs::kRootNode, "f", 0666, O_RDWR | O_CREAT));
  ASSERT_TRUE(created);
  EXPECT_EQ(server_.umask, 027u);
  masked.umask = 077;
  ASSERT_TRUE(loop_.run(ops().mkdir(masked, vfs::kRootNode, "d", 0777)));
  EXPECT_EQ(server_.umask, 077u);
  release(created.value().opened);
}

}  // namespace
}  // namespace foliofs::test
