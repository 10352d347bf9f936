// Extended attributes, the umask, and set-id bits that a message asks to clear.
#include <sys/xattr.h>

#include "tests/component/server/fixture.h"

namespace foliofs::server {
namespace {

constexpr std::uint32_t kNobody = 65534;

class Xattrs : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    put_file("file", "content");
    client_ = connect();
    handle_ = handle_of("file");
  }

  Bytes handle_of(const std::string& name) {
    return client_->lookup(client_->root(), name).value().reply.handle;
  }
  auto set(RawClient& client, const std::string& name, std::string_view value,
           std::uint32_t flags = 0) {
    wire::SetXattrRequestT request;
    request.caller = client.caller();
    request.handle = handle_;
    request.name = name;
    request.flags = flags;
    return client.call(request, value);
  }
  auto set(const std::string& name, std::string_view value, std::uint32_t flags = 0) {
    return set(*client_, name, value, flags);
  }
  auto get(const std::string& name) {
    wire::GetXattrRequestT request;
    request.caller = client_->caller();
    request.handle = handle_;
    request.name = name;
    return client_->call(request);
  }
  // The names as one string, each with a final NUL.
  std::string list() {
    wire::ListXattrRequestT request;
    request.caller = client_->caller();
    request.handle = handle_;
    auto names = client_->call(request);
    return names ? names.value().payload : errno_name(names.error());
  }
  auto remove(const std::string& name) {
    wire::RemoveXattrRequestT request;
    request.caller = client_->caller();
    request.handle = handle_;
    request.name = name;
    return client_->call(request);
  }
  std::string on_disk(const std::string& file, const char* name) {
    char value[64];
    const ssize_t size = ::lgetxattr((tree() / file).c_str(), name, value, sizeof value);
    return size < 0 ? "none" : std::string(value, static_cast<std::size_t>(size));
  }
  std::uint32_t mode_on_disk(const std::string& file) {
    struct stat info {};
    ::lstat((tree() / file).c_str(), &info);
    return info.st_mode & 07777u;
  }

  std::unique_ptr<RawClient> client_;
  Bytes handle_;
};

TEST_F(Xattrs, AreSetReadListedAndRemoved) {
  auto made = set("user.a", "value", XATTR_CREATE);
  if (!made && made.error() == Errno(EOPNOTSUPP)) GTEST_SKIP() << "no user. attributes here";
  ASSERT_TRUE(made);
  EXPECT_EQ(on_disk("file", "user.a"), "value");
  auto value = get("user.a");
  ASSERT_TRUE(value);
  EXPECT_EQ(value.value().payload, "value");
  EXPECT_EQ(value.value().reply.attributes->size(), 7u);
  EXPECT_NE(list().find(std::string("user.a\0", 7)), std::string::npos);
  EXPECT_EQ(errno_of(set("user.a", "other", XATTR_CREATE)), EEXIST);
  EXPECT_EQ(errno_of(set("user.b", "other", XATTR_REPLACE)), ENODATA);
  EXPECT_TRUE(set("user.empty", ""));
  EXPECT_EQ(get("user.empty").value().payload, "");
  EXPECT_TRUE(remove("user.a"));
  EXPECT_EQ(errno_of(remove("user.a")), ENODATA);
  EXPECT_EQ(errno_of(get("user.a")), ENODATA);
  EXPECT_EQ(errno_of(set("nonsense.a", "x")), EOPNOTSUPP);
}

TEST_F(Xattrs, AChangeIsForeignToOthersOnly) {
  auto other = connect();
  const auto before = other->get_attr(handle_).value().reply.attributes->foreign_changes();
  const auto own_before = client_->get_attr(handle_).value().reply.attributes->foreign_changes();
  auto made = set("user.a", "value");
  if (!made) GTEST_SKIP() << "no user. attributes here";
  EXPECT_EQ(made.value().reply.attributes->foreign_changes(), own_before);
  EXPECT_EQ(other->get_attr(handle_).value().reply.attributes->foreign_changes(), before + 1);
}

TEST_F(Xattrs, BoundsAreChecked) {
  EXPECT_EQ(errno_of(set("", "x")), ERANGE);
  EXPECT_EQ(errno_of(set("user." + std::string(251, 'n'), "x")), ERANGE);
  EXPECT_EQ(errno_of(set(std::string("user.a\0b", 8), "x")), EINVAL);
  EXPECT_EQ(errno_of(set("user.a", "x", 4)), EINVAL);
  EXPECT_EQ(errno_of(get("")), ERANGE);
  EXPECT_EQ(errno_of(remove("user." + std::string(251, 'n'))), ERANGE);
  // The largest size that Linux allows; the underlying filesystem may refuse it or not.
  (void)set("user.a", std::string(kMaxXattrBytes, 'v'));
  EXPECT_TRUE(client_->get_attr(handle_));
  EXPECT_FALSE(set("user.a", std::string(kMaxXattrBytes + 1, 'v')));
  EXPECT_TRUE(client_->has_ended()) << "a payload beyond the bound ends the connection";
}

TEST_F(Xattrs, OnlySetXattrAndWriteHaveAPayload) {
  wire::GetXattrRequestT request;
  request.caller = client_->caller();
  request.handle = handle_;
  request.name = "user.a";
  EXPECT_FALSE(client_->call(request, "x"));
  EXPECT_TRUE(client_->has_ended());
}

// The server's thread keeps CAP_SYS_ADMIN whatever its fsuid is, so the server must check this.
TEST_F(Xattrs, WhoIsNotRootHasNoPrivilegedNames) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(set("trusted.a", "root's"));
  ASSERT_TRUE(set("security.a", "root's"));
  ASSERT_EQ(::chown((tree() / "file").c_str(), kNobody, kNobody), 0);
  client_->uid = client_->gid = kNobody;
  EXPECT_EQ(errno_of(get("trusted.a")), ENODATA);
  EXPECT_EQ(errno_of(set("trusted.a", "mine")), EPERM);
  EXPECT_EQ(errno_of(set("security.a", "mine")), EPERM);
  EXPECT_EQ(errno_of(remove("trusted.a")), EPERM);
  EXPECT_EQ(errno_of(remove("security.capability")), EPERM);
  EXPECT_EQ(list().find("trusted.a"), std::string::npos);
  client_->uid = client_->gid = 0;
  EXPECT_EQ(get("trusted.a").value().payload, "root's");
  EXPECT_NE(list().find("trusted.a"), std::string::npos);
  EXPECT_TRUE(remove("trusted.a"));
}

TEST_F(Xattrs, OfASymlinkAreItsOwn) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  fs::create_symlink("file", tree() / "link");
  handle_ = handle_of("link");
  EXPECT_EQ(errno_of(set("user.a", "x")), EPERM);
  ASSERT_TRUE(set("trusted.a", "of the link"));
  EXPECT_EQ(on_disk("link", "trusted.a"), "of the link");
  EXPECT_EQ(on_disk("file", "trusted.a"), "none");
  EXPECT_EQ(get("trusted.a").value().payload, "of the link");
}

TEST_F(Xattrs, AReadOnlyExportKeepsThem) {
  (void)::setxattr((tree() / "file").c_str(), "user.a", "value", 5, 0);
  client_ = connect("ro");
  handle_ = handle_of("file");
  EXPECT_EQ(errno_of(set("user.a", "x")), EROFS);
  EXPECT_EQ(errno_of(remove("user.a")), EROFS);
  EXPECT_TRUE(get("user.a"));
}

TEST_F(Xattrs, AttributesSayWhetherThereAreSecurityOnes) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto says_none = [&] {
    const auto flags = client_->lookup(client_->root(), "file").value().reply.attributes->flags();
    EXPECT_EQ(client_->get_attr(handle_).value().reply.attributes->flags(), flags);
    return (flags & proto::kNoSecurityXattrs) != 0;
  };
  auto possible = ::getxattr(tree().c_str(), "system.posix_acl_access", nullptr, 0);
  if (possible < 0 && errno == EOPNOTSUPP) {
    EXPECT_FALSE(says_none()) << "where the errno is another one";
    GTEST_SKIP() << "no ACLs here";
  }
  EXPECT_TRUE(says_none());
  (void)set("user.a", "x");
  EXPECT_TRUE(says_none());
  ASSERT_TRUE(set("security.a", "x"));
  EXPECT_FALSE(says_none());
  ASSERT_TRUE(remove("security.a"));
  EXPECT_TRUE(says_none());
  for (int i = 0; i < 8; ++i) (void)set("user." + std::string(200, static_cast<char>('a' + i)), "");
  EXPECT_FALSE(says_none()) << "more names than it looks at: not known";

  handle_ = client_->root();
  // u::rwx g::r-x u:65534:r-x m::r-x o::r-x
  constexpr unsigned char kAcl[] = {
      2, 0,    0,    0,    1,    0,    7,  0, 0xff, 0xff, 0xff, 0xff, 2,    0,   5,
      0, 0xfe, 0xff, 0,    0,    4,    0,  5, 0,    0xff, 0xff, 0xff, 0xff, 16,  0,
      5, 0,    0xff, 0xff, 0xff, 0xff, 32, 0, 5,    0,    0xff, 0xff, 0xff, 0xff};
  const std::string_view acl(reinterpret_cast<const char*>(kAcl), sizeof kAcl);
  const auto root_flags = [&] {
    return client_->get_attr(client_->root()).value().reply.attributes->flags();
  };
  EXPECT_EQ(root_flags(), proto::kNoSecurityXattrs);
  ASSERT_TRUE(set("system.posix_acl_default", acl));
  EXPECT_EQ(root_flags(), 0u) << "for the directory itself too";
  ASSERT_TRUE(remove("system.posix_acl_default"));
  ASSERT_TRUE(set("system.posix_acl_access", acl));
  EXPECT_EQ(root_flags(), 0u);
}

TEST_F(Xattrs, TheUmaskCountsUnlessThereIsADefaultAcl) {
  auto create = [&](const Bytes& parent, const std::string& name, std::uint32_t umask) {
    auto request = client_->create_request(parent, name, O_RDWR, 0666);
    request.umask = umask;
    return client_->call(request).value().reply.attributes->mode() & 07777u;
  };
  auto mkdir = [&](const Bytes& parent, const std::string& name, std::uint32_t umask) {
    wire::MkdirRequestT request;
    request.caller = client_->caller();
    request.parent = parent;
    request.name = name;
    request.mode = 0777;
    request.umask = umask;
    return client_->call(request).value().reply;
  };
  EXPECT_EQ(create(client_->root(), "a", 022), 0644u);
  EXPECT_EQ(create(client_->root(), "b", 077), 0600u);
  EXPECT_EQ(create(client_->root(), "c", 0), 0666u);
  const auto directory = mkdir(client_->root(), "d", 027);
  EXPECT_EQ(directory.attributes->mode() & 07777u, 0750u);
  wire::MknodRequestT mknod;
  mknod.caller = client_->caller();
  mknod.parent = client_->root();
  mknod.name = "fifo";
  mknod.mode = S_IFIFO | 0666;
  mknod.umask = 026;
  EXPECT_EQ(client_->call(mknod).value().reply.attributes->mode() & 07777u, 0640u);

  // u::rwx g::rwx o::r-x, as a default ACL.
  constexpr unsigned char kAcl[] = {2,    0,    0, 0, 1,    0,    7,    0,    0xff, 0xff,
                                    0xff, 0xff, 4, 0, 7,    0,    0xff, 0xff, 0xff, 0xff,
                                    32,   0,    5, 0, 0xff, 0xff, 0xff, 0xff};
  handle_ = directory.handle;
  const std::string_view acl(reinterpret_cast<const char*>(kAcl), sizeof kAcl);
  auto made = set("system.posix_acl_default", acl);
  if (!made) GTEST_SKIP() << "no ACLs here";
  EXPECT_EQ(create(directory.handle, "a", 077), 0664u);
  EXPECT_EQ(mkdir(directory.handle, "d", 077).attributes->mode() & 07777u, 0775u);
  EXPECT_EQ(create(client_->root(), "e", 077), 0600u);
}

TEST_F(Xattrs, SetIdBitsGoWhenAMessageSaysSo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto set_id = [&] {
    ASSERT_EQ(::chmod((tree() / "file").c_str(), 06755), 0);
  };
  const auto id = client_->open(handle_, O_RDWR).value().reply.open_id;
  set_id();
  ASSERT_TRUE(client_->write(id, 0, "x"));
  EXPECT_EQ(mode_on_disk("file"), 06755u) << "root's write, and nothing was said";
  wire::WriteRequestT write;
  write.open_id = id;
  write.flags = proto::kWriteKillPrivileges;
  auto wrote = client_->call(write, "y");
  ASSERT_TRUE(wrote);
  EXPECT_EQ(wrote.value().reply.attributes->mode() & 07777u, 0755u);
  EXPECT_EQ(mode_on_disk("file"), 0755u);

  set_id();
  wire::SetAttrRequestT change;
  change.caller = client_->caller();
  change.handle = handle_;
  change.valid = proto::kSetSize | proto::kSetKillPrivileges;
  change.size = 3;
  EXPECT_EQ(client_->call(change).value().reply.attributes->mode() & 07777u, 0755u);
  change.valid = proto::kSetMtimeNow | proto::kSetKillPrivileges;
  EXPECT_EQ(errno_of(client_->call(change)), EINVAL);

  set_id();
  write.open_id = client_->open(handle_, O_RDONLY).value().reply.open_id;
  EXPECT_EQ(errno_of(client_->call(write, "z")), EBADF);
  EXPECT_EQ(mode_on_disk("file"), 06755u) << "who may not write changes nothing";
}

}  // namespace
}  // namespace foliofs::server
