// Which changes count as whose, as which user the server makes calls, and what survives a restart.
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "tests/component/server/fixture.h"

namespace foliofs::server {
namespace {

class Changes : public ServerTest {
 protected:
  struct Counts {
    std::uint64_t foreign, epoch;
    bool operator==(const Counts&) const = default;
  };
  static Counts of(const wire::Attributes& attributes) {
    return {attributes.foreign_changes(), attributes.change_epoch()};
  }
  static Counts look(RawClient& client, const Bytes& handle) {
    auto answer = client.get_attr(handle);
    EXPECT_TRUE(answer);
    return of(*answer.value().reply.attributes);
  }
};

TEST_F(Changes, OwnWritesAreNotForeignAndOthersAre) {
  auto writer = connect();
  auto reader = connect();
  auto made = writer->create(writer->root(), "file");
  const Bytes handle = made.value().reply.handle;
  const auto id = made.value().reply.open_id;
  const Counts writer_before = look(*writer, handle);
  const Counts reader_before = look(*reader, handle);
  EXPECT_NE(writer_before.epoch, 0u);
  for (int i = 0; i < 5; ++i) {
    auto wrote = writer->write(id, 0, "data");
    EXPECT_EQ(of(*wrote.value().reply.attributes), writer_before);
  }
  EXPECT_EQ(look(*writer, handle), writer_before);
  const Counts reader_after = look(*reader, handle);
  EXPECT_GT(reader_after.foreign, reader_before.foreign);
  EXPECT_EQ(reader_after.epoch, reader_before.epoch);
  EXPECT_EQ(look(*reader, handle), reader_after);
}

TEST_F(Changes, OnTheDiskTheyAreForeignToAll) {
  put_file("file", "before");
  auto one = connect();
  auto two = connect();
  const Bytes handle = one->lookup(one->root(), "file").value().reply.handle;
  const Counts one_before = look(*one, handle);
  const Counts two_before = look(*two, handle);
  put_file("file", "behind everybody's back");
  EXPECT_GT(look(*one, handle).foreign, one_before.foreign);
  EXPECT_GT(look(*two, handle).foreign, two_before.foreign);
  EXPECT_EQ(look(*one, handle).epoch, one_before.epoch);
}

TEST_F(Changes, ADiskChangeBetweenOwnWritesIsSeen) {
  auto client = connect();
  auto made = client->create(client->root(), "file");
  const auto id = made.value().reply.open_id;
  auto before = client->write(id, 0, "a");
  put_file("file", "other");
  auto after = client->write(id, 0, "b");
  EXPECT_GT(after.value().reply.attributes->foreign_changes(),
            before.value().reply.attributes->foreign_changes());
}

// A call that fails halfway counts as a change even if it leaves the size and the times as they
// were; times may stay the same for some milliseconds.
TEST_F(Changes, WhatFailsHalfWayIsOne) {
  constexpr std::uint64_t kTimes = 50;
  constexpr std::uint64_t kTooFar = std::uint64_t{1} << 31;
  auto writer = connect(), reader = connect();
  const auto made = writer->create(writer->root(), "file");
  const Bytes handle = made.value().reply.handle;
  wire::WriteRequestT write;
  write.open_id = made.value().reply.open_id;
  ASSERT_TRUE(writer->call(write, "content"));
  write.flags = proto::kWriteRanges;
  write.ranges = {{0, 1}, {kTooFar, 1}};
  wire::SetAttrRequestT set;
  set.caller = writer->caller();
  set.handle = handle;
  set.valid = proto::kSetMode | proto::kSetSize;
  set.mode = 0600;
  set.size = kTooFar;

  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit few = before;
  few.rlim_cur = kTooFar / 2;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &few), 0);
  const std::uint64_t first = look(*reader, handle).foreign;
  for (std::uint64_t i = 0; i < kTimes; ++i) {
    EXPECT_EQ(errno_of(writer->call(write, "xx")), EFBIG);
  }
  EXPECT_EQ(look(*reader, handle).foreign, first + kTimes);
  for (std::uint64_t i = 0; i < kTimes; ++i) EXPECT_EQ(errno_of(writer->call(set)), EFBIG);
  EXPECT_EQ(look(*reader, handle).foreign, first + 2 * kTimes);
  ::setrlimit(RLIMIT_FSIZE, &before);
}

TEST_F(Changes, NamesAreChangesOfTheDirectory) {
  auto one = connect();
  auto two = connect();
  const Counts one_before = look(*one, one->root());
  const Counts two_before = look(*two, two->root());
  ASSERT_TRUE(one->create(one->root(), "file"));
  ASSERT_TRUE(one->mkdir(one->root(), "dir"));
  ASSERT_TRUE(one->unlink(one->root(), "file"));
  EXPECT_EQ(look(*one, one->root()), one_before);
  EXPECT_GE(look(*two, two->root()).foreign, two_before.foreign + 3);
}

TEST_F(Changes, TheAnswerHasTheDirectoryAsItIsAfterwards) {
  auto client = connect();
  const auto expect_now = [&](const Bytes& directory, const auto& said) {
    ASSERT_TRUE(said);
    const auto now = client->get_attr(directory).value().reply.attributes;
    EXPECT_EQ(said->mtime_ns(), now->mtime_ns());
    EXPECT_EQ(said->ctime_ns(), now->ctime_ns());
    EXPECT_EQ(said->nlink(), now->nlink());
    EXPECT_EQ(said->size(), now->size());
    EXPECT_EQ(said->foreign_changes(), now->foreign_changes());
    EXPECT_EQ(said->change_epoch(), now->change_epoch());
  };
  const Bytes root = client->root();
  expect_now(root, client->create(root, "file").value().reply.parent_attributes);
  EXPECT_FALSE(client->create(root, "file").value().reply.parent_attributes) << "nothing changed";
  const auto made = client->mkdir(root, "dir").value().reply;
  expect_now(root, made.parent_attributes);

  wire::RenameRequestT rename;
  rename.caller = client->caller();
  rename.parent = root;
  rename.new_parent = made.handle;
  rename.name = rename.new_name = "file";
  auto moved = client->call(rename).value().reply;
  expect_now(root, moved.parent_attributes);
  expect_now(made.handle, moved.new_parent_attributes);
  rename.parent = made.handle;
  rename.new_name = "other";
  moved = client->call(rename).value().reply;
  expect_now(made.handle, moved.parent_attributes);
  expect_now(made.handle, moved.new_parent_attributes);

  expect_now(made.handle, client->unlink(made.handle, "other").value().reply.parent_attributes);
  expect_now(root, client->unlink(root, "dir", true).value().reply.parent_attributes);
}

TEST_F(Changes, LinkAndRenameAreNotForeignToTheFileTheyMove) {
  auto client = connect();
  auto made = client->create(client->root(), "file");
  const Bytes handle = made.value().reply.handle;
  const Counts before = look(*client, handle);
  wire::LinkRequestT link;
  link.caller = client->caller();
  link.handle = handle;
  link.parent = client->root();
  link.name = "second";
  ASSERT_TRUE(client->call(link));
  wire::RenameRequestT rename;
  rename.caller = client->caller();
  rename.parent = client->root();
  rename.new_parent = client->root();
  rename.name = "second";
  rename.new_name = "third";
  ASSERT_TRUE(client->call(rename));
  ASSERT_TRUE(client->unlink(client->root(), "third"));
  EXPECT_EQ(look(*client, handle), before);
}

// Each file but the last loses the name to exactly one later rename, whose reply must say so.
TEST_F(Changes, OfRenamesOverOneNameEachKnowsWhatItReplaces) {
  constexpr int kFiles = 500;
  const auto name_of = [](int client, int file) {
    return std::to_string(client) + "-" + std::to_string(file);
  };
  std::unique_ptr<RawClient> clients[] = {connect(), connect()};
  RawClient& first = *clients[0];
  const auto number_of = [&](const std::string& name) {
    return first.lookup(first.root(), name).value().reply.attributes->ino();
  };
  std::vector<std::uint64_t> files, replaced[2];
  for (int client : {0, 1}) {
    for (int file = 0; file < kFiles; ++file) {
      put_file(name_of(client, file), "");
      files.push_back(number_of(name_of(client, file)));
    }
  }
  const auto rename_all = [&](int number) {
    RawClient& client = *clients[number];
    wire::RenameRequestT request;
    request.caller = client.caller();
    request.parent = request.new_parent = client.root();
    request.new_name = "name";
    for (int file = 0; file < kFiles; ++file) {
      request.name = name_of(number, file);
      auto moved = client.call(request);
      ASSERT_TRUE(moved) << errno_name(moved.error());
      const auto& victim = moved.value().reply.victim;
      if (victim) replaced[number].push_back(victim->ino());
    }
  };
  std::thread other(rename_all, 1);
  rename_all(0);
  other.join();
  std::vector<std::uint64_t> seen = {number_of("name")};
  for (const auto& some : replaced) seen.insert(seen.end(), some.begin(), some.end());
  std::sort(seen.begin(), seen.end());
  std::sort(files.begin(), files.end());
  EXPECT_EQ(seen, files);
}

// --- As whom -------------------------------------------------------------------------------------

class Callers : public ServerTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to act as others";
    ServerTest::SetUp();
  }
  void adjust(Options& options) override {
    options.exports = {{"data", tree(), false, {}},
                       {"trusting", tree(), false, {Squash::kNone, 65534, 65534}},
                       {"anonymous", tree(), false, {Squash::kAll, 4242, 4343}}};
  }
  std::unique_ptr<RawClient> connect_as(const std::string& name, uid_t uid) {
    auto client = connect(name);
    client->uid = uid;
    client->gid = uid;
    return client;
  }
};

TEST_F(Callers, TheKernelDecides) {
  put_file("secret", "x");
  ::chmod((tree() / "secret").c_str(), 0600);
  auto client = connect_as("data", 1000);
  const auto handle = client->lookup(client->root(), "secret").value().reply.handle;
  EXPECT_EQ(errno_of(client->open(handle)), EACCES);
  EXPECT_EQ(errno_of(client->create(client->root(), "new")), EACCES);
  EXPECT_EQ(errno_of(client->unlink(client->root(), "secret")), EACCES);
  auto root = connect_as("trusting", 0);
  const auto same = root->lookup(root->root(), "secret").value().reply.handle;
  EXPECT_TRUE(root->open(same));
}

TEST_F(Callers, FilesBelongToWhoMadeThem) {
  ::chmod(tree().c_str(), 0777);
  auto user = connect_as("data", 1000);
  EXPECT_EQ(user->create(user->root(), "mine").value().reply.attributes->uid(), 1000u);
  auto root = connect_as("data", 0);
  const auto squashed = root->create(root->root(), "root's");
  EXPECT_EQ(squashed.value().reply.attributes->uid(), 65534u);
  EXPECT_EQ(squashed.value().reply.attributes->gid(), 65534u);
  auto anonymous = connect_as("anonymous", 1000);
  EXPECT_EQ(anonymous->create(anonymous->root(), "nobody's").value().reply.attributes->uid(),
            4242u);
  auto trusted = connect_as("trusting", 0);
  EXPECT_EQ(trusted->create(trusted->root(), "really root's").value().reply.attributes->uid(), 0u);
}

TEST_F(Callers, SupplementaryGroupsCount) {
  put_file("shared", "group");
  ASSERT_EQ(::chown((tree() / "shared").c_str(), 0, 5555), 0);
  ::chmod((tree() / "shared").c_str(), 0640);
  auto client = connect_as("data", 1000);
  const auto handle = client->lookup(client->root(), "shared").value().reply.handle;
  EXPECT_EQ(errno_of(client->open(handle)), EACCES);
  client->groups = {7, 5555};
  EXPECT_TRUE(client->open(handle));
  client->groups = {};
  EXPECT_EQ(errno_of(client->open(handle)), EACCES);
}

TEST_F(Callers, AnOpenFileIsUsedAsItsOpener) {
  ::chmod(tree().c_str(), 0777);
  auto client = connect_as("data", 1000);
  const auto id = client->create(client->root(), "file", O_RDWR, 0600).value().reply.open_id;
  client->uid = 2000;  // as if the descriptor had been passed to another user's process
  EXPECT_TRUE(client->write(id, 0, "x"));
  const auto wrote = client->write(id, 0, "y");
  EXPECT_EQ(wrote.value().reply.attributes->uid(), 1000u);
}

TEST_F(Callers, WritingClearsSetuid) {
  ::chmod(tree().c_str(), 0777);
  auto client = connect_as("data", 1000);
  const auto id = client->create(client->root(), "tool", O_RDWR, 04777).value().reply.open_id;
  const auto wrote = client->write(id, 0, "x");
  EXPECT_EQ(wrote.value().reply.attributes->mode() & 07777, 0777u);
}

// Only a file's owner may set its times, but the server keeps a WRITE's mtime for every writer.
TEST_F(Callers, TheTimeOfAWriteIsKeptForAllWriters) {
  put_file("shared", "x");
  ::chmod((tree() / "shared").c_str(), 0666);
  auto client = connect_as("data", 1000);
  const auto handle = client->lookup(client->root(), "shared").value().reply.handle;
  wire::WriteRequestT write;
  write.open_id = client->open(handle, O_WRONLY).value().reply.open_id;
  write.flags = proto::kWriteSetMtime;
  write.mtime_ns = 7'000'000'000;
  auto wrote = client->call(write, "y");
  ASSERT_TRUE(wrote);
  EXPECT_EQ(wrote.value().reply.attributes->mtime_ns(), 7'000'000'000);
  // After that, the server's thread makes calls as the caller again.
  EXPECT_EQ(errno_of(client->create(client->root(), "new")), EACCES);
}

// --- Restart ------------------------------------------------------------------------------------

TEST_F(Changes, HandlesOutliveTheServerAndEpochsDoNot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root for lasting handles";
  auto client = connect();
  const Bytes handle = client->create(client->root(), "file").value().reply.handle;
  const Counts before = look(*client, handle);
  client.reset();
  Options options;
  options.listen.port(0);
  options.state_dir = scratch_.path() / "state";
  options.exports = {{"data", tree(), false, {Squash::kNone, 65534, 65534}}};
  server_.reset();
  server_ = std::make_unique<Server>(options);
  ASSERT_TRUE(server_->start());
  client = connect();
  EXPECT_NE(look(*client, handle).epoch, before.epoch);
}

}  // namespace
}  // namespace foliofs::server
