// The parts of the local store: identities, capabilities, handles, change counts, nodes.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "server/change_scope.h"
#include "server/credentials.h"
#include "server/file_handle.h"
#include "server/identity.h"
#include "server/inode_table.h"
#include "server/local_store.h"
#include "server/node_table.h"
#include "server/state_key.h"

namespace foliofs::server {
namespace {

// --- Identities ----------------------------------------------------------------------------------

Result<Identity> mapped(Squash squash, std::uint32_t uid, std::uint32_t gid,
                        std::vector<std::uint32_t> groups) {
  flatbuffers::FlatBufferBuilder builder;
  wire::CallerT caller;
  caller.uid = uid;
  caller.gid = gid;
  caller.groups = std::move(groups);
  builder.Finish(wire::Caller::Pack(builder, &caller));
  return map_caller({squash, 500, 600},
                    flatbuffers::GetRoot<wire::Caller>(builder.GetBufferPointer()));
}

TEST(IdentityTest, RootIsSquashedInEveryPlace) {
  EXPECT_EQ(mapped(Squash::kRoot, 0, 0, {0, 7}).value(), (Identity{500, 600, {600, 7}}));
  EXPECT_EQ(mapped(Squash::kRoot, 1, 2, {3}).value(), (Identity{1, 2, {3}}));
}

TEST(IdentityTest, NoneAndAll) {
  EXPECT_EQ(mapped(Squash::kNone, 0, 0, {0}).value(), (Identity{0, 0, {0}}));
  EXPECT_EQ(mapped(Squash::kAll, 1, 2, {3}).value(), (Identity{500, 600, {}}));
}

TEST(IdentityTest, IdsThatAreNoneAreRefused) {
  const std::uint32_t none = 0xffffffff;
  EXPECT_EQ(map_caller({}, nullptr).error(), Errno(EINVAL));
  EXPECT_EQ(mapped(Squash::kNone, none, 0, {}).error(), Errno(EINVAL));
  EXPECT_EQ(mapped(Squash::kNone, 0, none, {}).error(), Errno(EINVAL));
  EXPECT_EQ(mapped(Squash::kNone, 0, 0, {1, none}).error(), Errno(EINVAL));
  EXPECT_EQ(mapped(Squash::kNone, 0, 0, std::vector<std::uint32_t>(kMaxGroups + 1)).error(),
            Errno(EINVAL));
  EXPECT_TRUE(mapped(Squash::kNone, 0, 0, std::vector<std::uint32_t>(kMaxGroups)));
}

// Whether the capability is effective in this thread.
bool has_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  EXPECT_EQ(::syscall(SYS_capget, &header, data), 0);
  return (data[capability / 32].effective >> (capability % 32) & 1u) != 0;
}

TEST(CredentialsTest, WithoutAdministrationTheThreadHasNoneOfItsCapabilities) {
  bool has_any = false;
  for (unsigned capability : {CAP_SYS_ADMIN, CAP_SETFCAP, CAP_MAC_ADMIN}) {
    if (!has_capability(capability)) continue;
    has_any = true;
    {
      const WithoutAdministration scope(Identity{1000, 1000, {}});
      EXPECT_TRUE(scope.in_force());
      EXPECT_FALSE(has_capability(capability)) << capability;
    }
    EXPECT_TRUE(has_capability(capability)) << capability;
  }
  if (!has_any) GTEST_SKIP() << "run without any of them";
}

// --- Handles -------------------------------------------------------------------------------------

HandleView view(const Handle& handle) {
  return {handle.data(), handle.size()};
}

TEST(HandleSignerTest, OnlyItsOwnHandlesAreGood) {
  const std::vector<std::uint8_t> secret(32, 9);
  const HandleSigner signer(secret, "one");
  const std::vector<std::uint8_t> body{1, 2, 3, 4};
  const Handle sealed = signer.seal(body);
  ASSERT_EQ(sealed.size(), body.size() + kMacBytes);
  const HandleView opened = signer.unseal(view(sealed)).value();
  EXPECT_TRUE(std::equal(opened.begin(), opened.end(), body.begin(), body.end()));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Handle forged = sealed;
    forged[i] ^= 1;
    EXPECT_EQ(signer.unseal(view(forged)).error(), Errno(ESTALE)) << i;
  }
  for (std::size_t length = 0; length < sealed.size(); ++length) {
    EXPECT_FALSE(signer.unseal(view(sealed).first(length)));
  }
  EXPECT_FALSE(HandleSigner(secret, "two").unseal(view(sealed)));
  EXPECT_FALSE(HandleSigner(std::vector<std::uint8_t>(32, 8), "one").unseal(view(sealed)));
  EXPECT_TRUE(HandleSigner(secret, "one").unseal(view(sealed)));
}

TEST(StateKeyTest, IsMadeOnceAndKept) {
  std::string dir = std::filesystem::temp_directory_path() / "foliofs-key-XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  const std::string state = dir + "/made/state";
  const StateKey first = load_state_key(state);
  EXPECT_EQ(first.why_ephemeral, "");
  EXPECT_EQ(load_state_key(state).bytes, first.bytes);

  std::filesystem::permissions(state + "/handle.key", std::filesystem::perms(0644));
  EXPECT_NE(load_state_key(state).why_ephemeral.find("chmod"), std::string::npos);
  std::filesystem::permissions(state + "/handle.key", std::filesystem::perms(0600));
  std::ofstream(state + "/handle.key") << "short";
  const StateKey broken = load_state_key(state);
  EXPECT_NE(broken.why_ephemeral, "");
  EXPECT_NE(broken.bytes, load_state_key(state).bytes) << "random each time";
  EXPECT_NE(load_state_key("").why_ephemeral, "");
  std::filesystem::remove_all(dir);
}

// --- Change counts -------------------------------------------------------------------------------

// A file in an inode table; the test sets its change stamp.
struct Turned {
  InodeTable table;
  std::shared_ptr<Inode> inode = table.get(FileId{1, 2, 3});
  ChangeStamp stamp;
  std::vector<LostLease> lost;

  auto look() {
    return [this] {
      return stamp;
    };
  }
  void touch() { ++stamp.ctime_ns; }
  std::uint64_t foreign(std::uint64_t session) {
    return inode->observe(session, stamp, look()).foreign;
  }
  void change_by(std::uint64_t session) {
    inode->begin_change(look());
    touch();
    inode->end_change(session, true, look(), lost);
  }
};

TEST(InodeTest, OwnChangesAreNotForeign) {
  Turned file;
  EXPECT_EQ(file.foreign(1), 0u);
  file.change_by(1);
  file.change_by(1);
  file.change_by(2);
  EXPECT_EQ(file.foreign(1), 1u);
  EXPECT_EQ(file.foreign(2), 2u);
  EXPECT_EQ(file.foreign(3), 3u);
  EXPECT_EQ(file.foreign(1), 1u) << "looking changes nothing";
}

TEST(InodeTest, ChangesOnTheDiskAreForeignToAllOnce) {
  Turned file;
  file.foreign(1);
  file.touch();
  EXPECT_EQ(file.foreign(1), 1u);
  EXPECT_EQ(file.foreign(2), 1u);
  file.touch();
  file.change_by(1);
  EXPECT_EQ(file.foreign(1), 2u) << "the one before its own change counts";
}

TEST(InodeTest, AnOldLookIsNoChange) {
  Turned file;
  file.foreign(1);
  const ChangeStamp old = file.stamp;
  file.change_by(1);
  EXPECT_EQ(file.inode->observe(1, old, file.look()).foreign, 0u);
}

TEST(InodeTest, WhileAChangeRunsNobodyElseIsBlamed) {
  Turned file;
  file.foreign(1);
  file.inode->begin_change(file.look());
  file.touch();
  EXPECT_EQ(file.foreign(1), 0u);
  EXPECT_EQ(file.foreign(2), 0u);
  file.inode->end_change(1, true, file.look(), file.lost);
  EXPECT_EQ(file.foreign(1), 0u);
  EXPECT_EQ(file.foreign(2), 1u);
}

TEST(InodeTest, OverlappingChangesCountEach) {
  Turned file;
  file.inode->begin_change(file.look());
  file.inode->begin_change(file.look());
  file.touch();
  file.inode->end_change(1, true, file.look(), file.lost);
  file.touch();
  file.inode->end_change(2, true, file.look(), file.lost);
  EXPECT_EQ(file.foreign(1), 1u);
  EXPECT_EQ(file.foreign(2), 1u);
}

TEST(InodeTest, AFailureCountsOnlyIfItLeftATrace) {
  Turned file;
  file.inode->begin_change(file.look());
  file.inode->end_change(1, false, file.look(), file.lost);
  EXPECT_EQ(file.foreign(2), 0u);
  file.inode->begin_change(file.look());
  file.touch();
  file.inode->end_change(1, false, file.look(), file.lost);
  EXPECT_EQ(file.foreign(1), 0u);
  EXPECT_EQ(file.foreign(2), 1u);
}

TEST(InodeTest, XattrsAreLookedAtOnceForACtimeThatIsOld) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  server::Inode inode(1);
  std::uint32_t there = 7;
  int looks = 0;
  auto flags = [&](std::int64_t ctime_ns, std::int64_t now_ns) {
    return inode.xattr_flags(ctime_ns, now_ns, [&] {
      ++looks;
      return there;
    });
  };
  EXPECT_EQ(flags(10 * kSecond, 11 * kSecond), 7u);
  there = 8;
  EXPECT_EQ(flags(10 * kSecond, 12 * kSecond), 8u) << "the change may have left that ctime";
  EXPECT_EQ(flags(10 * kSecond, 13 * kSecond), 8u);
  EXPECT_EQ(flags(10 * kSecond, 14 * kSecond), 8u);
  EXPECT_EQ(looks, 3);
  there = 9;
  EXPECT_EQ(flags(15 * kSecond, 15 * kSecond), 9u);
  EXPECT_EQ(flags(20 * kSecond, 15 * kSecond), 9u) << "the clock was set back";
  EXPECT_EQ(looks, 5);
}

TEST(InodeTest, ForgottenOwnersOnlyLookTwice) {
  Turned file;
  file.change_by(1);
  for (std::uint64_t session = 2; session < 100; ++session) file.change_by(session);
  const auto before = file.foreign(1);
  EXPECT_EQ(before, 99u);
  file.change_by(1);
  EXPECT_GE(file.foreign(1), before) << "never back to a count it has shown";
}

TEST(InodeTableTest, IsBoundedAndKeepsWhatIsInUse) {
  InodeTable table(64);
  auto kept = table.get(FileId{1, 1, 0});
  const auto epoch = kept->observe(0, {}, [] { return ChangeStamp(); }).epoch;
  EXPECT_NE(epoch, 0u);
  for (std::uint64_t i = 2; i < 5000; ++i) table.get(FileId{1, i, 0});
  EXPECT_LE(table.size(), 64u + 16);
  EXPECT_EQ(table.get(FileId{1, 1, 0}), kept);
  EXPECT_NE(table.get(FileId{1, 1, 99}), kept) << "the number was used again";
}

TEST(ChangeScopeTest, AFailureCountsWhenAPartWasDone) {
  std::string dir = std::filesystem::temp_directory_path() / "foliofs-scope-XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  const std::vector<std::uint8_t> secret(32, 9);
  LocalStoreOptions options;
  options.path = dir;
  options.name = "data";
  options.secret = secret;
  options.handles = HandleKind::kDescriptor;
  auto opened = LocalStore::open_tree(options);
  ASSERT_TRUE(opened);
  const auto& store = static_cast<const LocalStore&>(*opened.value());
  const UniqueFd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto inode = std::make_shared<server::Inode>(1);
  const Identity caller{::geteuid(), ::getegid(), {}};
  const CallContext one{caller, 1}, another{caller, 2};
  const auto foreign = [&] {
    ChangeScope none(store, fd.get(), *inode, another);
    return none.finish(false).value().foreign_changes();
  };
  const std::uint64_t before = foreign();
  { const ChangeScope failed(store, fd.get(), *inode, one); }
  EXPECT_EQ(foreign(), before);
  {
    ChangeScope half(store, fd.get(), *inode, one);
    half.touched();
  }
  EXPECT_EQ(foreign(), before + 1);
  std::filesystem::remove_all(dir);
}

// --- Nodes ---------------------------------------------------------------------------------------

NodeRef make_node(std::uint64_t number) {
  auto node = std::make_shared<Node>();
  node->id = FileId{1, number, 0};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&number);
  node->handle.assign(bytes, bytes + sizeof number);
  return node;
}

TEST(NodeTableTest, DropsTheLeastRecentlyUsed) {
  NodeTable table(3);
  const NodeRef held = table.insert(make_node(1));
  for (std::uint64_t i = 2; i <= 4; ++i) table.insert(make_node(i));
  EXPECT_EQ(table.size(), 3u);
  EXPECT_EQ(table.find(FileId{1, 2, 0}), nullptr);
  EXPECT_EQ(table.find(view(held->handle)), held) << "in use";
  EXPECT_EQ(table.insert(make_node(1)), held) << "one node a file";
}

TEST(NodeTableTest, UnlinkedFilesGoAtOnceOrWithTheirLastOpen) {
  NodeTable table(10);
  table.insert(make_node(1));
  table.unlinked(FileId{1, 1, 0});
  EXPECT_EQ(table.size(), 0u);
  const NodeRef open = table.insert(make_node(2));
  table.opened(*open);
  table.unlinked(open->id);
  EXPECT_EQ(table.find(open->id), open);
  table.closed(*open);
  EXPECT_EQ(table.size(), 0u);
}

TEST(NodeTableTest, IdleOnesAreDroppedAtTheSecondLook) {
  NodeTable table(10);
  table.insert(make_node(1));
  table.insert(make_node(2));
  table.drop_idle();
  EXPECT_EQ(table.size(), 2u);
  table.find(FileId{1, 2, 0});
  table.drop_idle();
  EXPECT_EQ(table.size(), 1u);
  EXPECT_NE(table.find(FileId{1, 2, 0}), nullptr);
}

}  // namespace
}  // namespace foliofs::server
