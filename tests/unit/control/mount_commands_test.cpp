// The commands of the control socket on a whole mount, also while its server does not answer.
#include "foliofs/control/mount_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "foliofs/control/requests.h"
#include "tests/unit/vfs/fixture.h"

namespace foliofs::control {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class MountCommandsTest : public test::VfsTest {
 protected:
  void SetUp() override {
    VfsTest::SetUp();
    MountCommands::Hooks hooks;
    hooks.abandon = [] {
    };
    hooks.options_changed = [this](const vfs::MountOptions&) {
      ++changes_;
    };
    commands_ = std::make_unique<MountCommands>(*mount_, *session_, std::move(hooks));
  }

  json run(json request) {
    return loop_.run(commands_->run(Peer{}, std::move(request), [](const json&) {}));
  }
  json set(const std::vector<vfs::OptionPair>& options) { return run(set_request(options)); }
  static json invalidation(const std::string& path, bool flush = true) {
    return invalidate_request(path, /*mode=*/"", flush);
  }
  void go_away() {
    server_.hold_requests(test::MessageType::kHello);
    server_.restart();
    loop_.settle();
    ASSERT_NE(session_->state(), rpc::ConnectionState::kConnected);
  }
  std::uint64_t asked() const { return server_.seen.size(); }

  std::unique_ptr<MountCommands> commands_;
  int changes_ = 0;
};

TEST_F(MountCommandsTest, InvalidateAsksNothingOfAServerForANameThatIsKnown) {
  server_.add("f", "old bytes");
  auto file = open(lookup("f"));
  ASSERT_EQ(read(file), "old bytes");
  const auto before = asked();
  const json reply = run(invalidation("f"));
  EXPECT_EQ(reply["result"]["folios_dropped"], 1);
  EXPECT_EQ(asked(), before);
  EXPECT_EQ(read(file), "old bytes");
  release(file);
}

// The command must not apply the server's attributes first: that would revalidate the file in the
// mount's own mode, which writes the dirty bytes that --no-flush leaves alone.
TEST_F(MountCommandsTest, InvalidateWithoutFlushWritesNothingThoughTheFileHasChanged) {
  server_.add("f", "old bytes");
  auto file = open(lookup("f"));
  ASSERT_TRUE(write(file, 0, "new"));
  server_.change("f", "other bytes");
  expire();
  const json reply = run(invalidation("f", /*flush=*/false));
  EXPECT_EQ(reply["result"]["folios_kept"], 1);
  EXPECT_EQ(reply["result"]["write_calls"], 0);
  EXPECT_EQ(server_.count(test::MessageType::kWrite), 0u);
  release(file);
}

// SEMANTICS: commands-answer
TEST_F(MountCommandsTest, InvalidateWithoutFlushIsAnsweredWhileTheServerIsAway) {
  server_.add("f", "old bytes");
  auto file = open(lookup("f"));
  ASSERT_TRUE(write(file, 0, "new"));
  ASSERT_TRUE(set({{"hard", ""}}).contains("result"));
  go_away();
  const auto began = loop_.clock.now();
  const json reply = run(invalidation("f", /*flush=*/false));
  EXPECT_EQ(reply["result"]["folios_kept"], 1);
  EXPECT_THAT(run(invalidation("unknown"))["refusal"].get<std::string>(),
              HasSubstr(errno_text(Errno(ENOTCONN))));
  EXPECT_EQ(loop_.clock.now(), began);
  server_.release();
  release(file);
}

// SEMANTICS: commands-answer
TEST_F(MountCommandsTest, InvalidateDoesNotWaitForEverForASilentServer) {
  server_.add("f", "bytes");
  ASSERT_TRUE(set({{"hard", ""}}).contains("result"));
  server_.hold_replies(test::MessageType::kLookup);
  const auto began = loop_.clock.now();
  EXPECT_THAT(run(invalidation("f"))["refusal"].get<std::string>(),
              HasSubstr(errno_text(Errno(ETIMEDOUT))));
  EXPECT_LT(loop_.clock.now() - began, std::chrono::seconds(60));
}

TEST_F(MountCommandsTest, AFileThatIsNotCachedIsReportedWithZeros) {
  server_.add("f", "bytes");
  server_.add("dir", "", S_IFDIR | 0755);
  const auto inodes = mount_->stats().inodes;
  const json reply = run(invalidation("f"));
  EXPECT_EQ(reply["result"]["folios_dropped"], 0);
  EXPECT_EQ(reply["result"]["mode"], "hybrid");
  EXPECT_TRUE(reply["result"]["error"].is_null());
  EXPECT_EQ(mount_->stats().inodes, inodes);
  EXPECT_THAT(run(invalidation("dir"))["refusal"].get<std::string>(),
              HasSubstr(errno_text(Errno(EISDIR))));
  EXPECT_THAT(run(invalidation("none"))["refusal"].get<std::string>(),
              HasSubstr(errno_text(Errno(ENOENT))));
  EXPECT_THAT(run(invalidation("f/below"))["refusal"].get<std::string>(),
              HasSubstr(errno_text(Errno(ENOTDIR))));
}

// SEMANTICS: set-all-or-nothing
TEST_F(MountCommandsTest, SetDoesAllOrNothing) {
  const json before = run({{"command", "stats"}})["result"]["options"];
  const json reply = set({{"invalidate", "bulk"}, {"timeo", "5"}, {"cache_size", "nan"}});
  EXPECT_THAT(reply["refusal"].get<std::string>(), HasSubstr("cache_size"));
  EXPECT_EQ(run({{"command", "stats"}})["result"]["options"], before);
  EXPECT_EQ(changes_, 0);
  EXPECT_TRUE(set({{"invalidate", "bulk"}, {"timeo", "5"}}).contains("result"));
  EXPECT_EQ(run({{"command", "stats"}})["result"]["options"]["timeo"], "5");
  EXPECT_EQ(changes_, 1);
}

TEST_F(MountCommandsTest, SetTimeoHelpsACallThatWaitsAlready) {
  server_.add("f", "bytes");
  ASSERT_TRUE(set({{"hard", ""}}).contains("result"));
  server_.hold_requests(test::MessageType::kLookup);
  auto entry = loop_.start(ops().lookup(call(), vfs::kRootNode, "f"));
  pass(std::chrono::minutes(10));
  ASSERT_FALSE(entry->has_value());
  ASSERT_TRUE(set({{"soft", ""}, {"timeo", "5"}}).contains("result"));
  until([&] { return entry->has_value(); });
  EXPECT_EQ((**entry).error(), Errno(ETIMEDOUT));
}

TEST_F(MountCommandsTest, KernelCacheIsSetForFilesThatAreOpenedAfterwards) {
  server_.add("f", "bytes");
  const Node node = lookup("f");
  auto cached = open(node);
  ASSERT_TRUE(set({{"kernel_cache", "off"}}).contains("result"));
  auto uncached = open(node);
  EXPECT_FALSE(cached.direct);
  EXPECT_TRUE(uncached.direct);
  release(cached);
  release(uncached);
}

}  // namespace
}  // namespace foliofs::control
