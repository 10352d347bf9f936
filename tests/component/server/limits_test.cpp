// How much one client can take from the others: descriptors, opens, connections.
#include <sys/resource.h>

#include "tests/component/server/fixture.h"

namespace foliofs::server {
namespace {

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

// A server with few descriptors.
class FewDescriptors : public ServerTest {
 protected:
  static constexpr rlim_t kDescriptors = 256;

  void adjust(Options&) override {
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    rlimit few = before_;
    few.rlim_cur = kDescriptors;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  void TearDown() override {
    ServerTest::TearDown();
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }

  // Makes files and keeps them open, until the server refuses with EMFILE.
  static std::vector<std::uint64_t> open_all(RawClient& client, const std::string& prefix) {
    std::vector<std::uint64_t> ids;
    while (ids.size() < kDescriptors) {
      auto made = client.create(client.root(), prefix + std::to_string(ids.size()));
      if (!made) {
        EXPECT_EQ(errno_of(made), EMFILE);
        break;
      }
      ids.push_back(made.value().reply.open_id);
    }
    return ids;
  }

 private:
  rlimit before_{};
};

TEST_F(FewDescriptors, OneClientCannotTakeThemAll) {
  auto greedy = connect();
  const std::vector<std::uint64_t> ids = open_all(*greedy, "file-");
  EXPECT_EQ(ids.size(), kDescriptors * 3 / 16);
  EXPECT_FALSE(fs::exists(tree() / ("file-" + std::to_string(ids.size()))))
      << "a request that failed has changed nothing";
  const auto handle = greedy->lookup(greedy->root(), "file-0").value().reply.handle;
  EXPECT_EQ(errno_of(greedy->open(handle)), EMFILE);

  auto bystander = connect();
  EXPECT_TRUE(bystander->create(bystander->root(), "another"));
  ASSERT_TRUE(greedy->close(ids.front()));
  EXPECT_TRUE(greedy->open(handle));
}

// Each of their files has a node too, and other clients' requests still need descriptors.
TEST_F(FewDescriptors, TwoClientsCannotTakeThemAll) {
  for (int i = 0; i < 100; ++i) put_file("there-" + std::to_string(i), "");
  auto one = connect(), another = connect();
  const std::vector<std::uint64_t> ids = open_all(*one, "one-");
  EXPECT_EQ(ids.size(), kDescriptors * 3 / 16);
  EXPECT_EQ(open_all(*another, "another-").size(), kDescriptors * 3 / 16);

  auto bystander = connect();
  const Bytes root = bystander->root();
  for (int i = 0; i < 100; ++i) {
    auto found = bystander->lookup(root, "there-" + std::to_string(i));
    ASSERT_TRUE(found) << errno_name(found.error());
  }
  EXPECT_TRUE(bystander->mkdir(root, "directory"));
  EXPECT_TRUE(bystander->unlink(root, "there-0"));
  EXPECT_EQ(errno_of(bystander->create(root, "file")), ENFILE) << "they have all the room there is";
  EXPECT_FALSE(fs::exists(tree() / "file"));
  ASSERT_TRUE(one->close(ids.front()));
  EXPECT_TRUE(bystander->create(root, "file"));
}

class FewDescriptorsSole : public FewDescriptors {
 protected:
  void adjust(Options& options) override {
    FewDescriptors::adjust(options);
    ExportOptions data{"data", tree(), false, {Squash::kNone, 65534, 65534}};
    data.sole = true;
    options.exports = {data};
  }
};

TEST_F(FewDescriptorsSole, WhatNobodyUsesIsAskedBackBeforeThereIsNoRoom) {
  auto one = connect(), another = connect();
  // Both together have three quarters of the opens that the server allows.
  for (std::size_t i = 0; i < kDescriptors * 9 / 64; ++i) {
    ASSERT_TRUE(one->create(one->root(), "one-" + std::to_string(i)));
    ASSERT_TRUE(another->create(another->root(), "another-" + std::to_string(i)));
  }
  const auto notice = another->receive();
  ASSERT_TRUE(notice);
  EXPECT_TRUE(notice.value().header.is_notice());
  EXPECT_EQ(notice.value().header.type, MessageType::kOpensWanted);
}

TEST_F(FewDescriptors, NamesThatAreLookedUpTakeNone) {
  for (int i = 0; i < 1000; ++i) put_file("file-" + std::to_string(i), "");
  auto client = connect();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(client->lookup(client->root(), "file-" + std::to_string(i)));
  }
  EXPECT_TRUE(client->create(client->root(), "one-more"));
}

class PatientServer : public ServerTest {
 protected:
  void adjust(Options& options) override { options.hello_timeout = std::chrono::minutes(5); }
};

TEST_F(PatientServer, ConnectionsWithoutHelloGiveWayToNewOnes) {
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 257; ++i) silent.push_back(std::make_unique<RawClient>(port()));
  EXPECT_TRUE(silent.front()->has_ended());
  EXPECT_TRUE(silent.back()->hello("data"));
}

class ImpatientServer : public ServerTest {
 protected:
  void adjust(Options& options) override { options.hello_timeout = std::chrono::milliseconds(100); }
};

// Otherwise the client could make the server keep the connection, and all replies, forever.
TEST_F(ImpatientServer, AClientThatSaysByeAndDoesNotReadIsCutOff) {
  const std::size_t before = open_descriptors();
  RawClient client(port());
  ASSERT_TRUE(client.hello("data", {}, 64));
  const auto id = client.create(client.root(), "file").value().reply.open_id;
  ASSERT_TRUE(client.write(id, 0, std::string(kMaxPayloadBytes, 'x')));
  for (std::uint32_t slot = 1; slot < 32; ++slot) {
    wire::ReadRequestT read;
    read.open_id = id;
    read.length = kMaxPayloadBytes;
    ASSERT_TRUE(client.send(client.next(MessageType::kRead, slot), read));
  }
  ASSERT_TRUE(client.send(client.next(MessageType::kBye, 40), wire::ByeRequestT()));
  for (int tries = 0; tries < 500; ++tries) {
    // The client's own end of the connection, and the node of the file, may still be open.
    if (open_descriptors() <= before + 2) return;
    ::usleep(20'000);
  }
  FAIL() << "the connection never ended";
}

}  // namespace
}  // namespace foliofs::server
