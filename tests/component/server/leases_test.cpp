// Leases over the wire: which replies give them, and what happens to them when clients are silent,
// disconnected, or gone.
#include <cstdlib>
#include <thread>

#include "tests/component/server/leases_fixture.h"

namespace foliofs::server {
namespace {

using ::testing::ElementsAre;
using namespace std::chrono_literals;

class Leases : public LeasesTest {
 protected:
  // Sends a WRITE of the file, without waiting for the reply.
  FrameHeader begin_write(RawClient& client) {
    const std::uint64_t open_id = open_file(client, file_);
    const FrameHeader header = client.next(MessageType::kWrite);
    EXPECT_TRUE(client.send(header, write_request(open_id), "new"));
    return header;
  }
  static bool is_answered(RawClient& client, const FrameHeader& header) {
    return bool(client.read_answer<wire::WriteReply>(header));
  }
  // Cuts the connection of `gone`, and resumes its session over a new one.
  std::unique_ptr<Holder> come_back(std::unique_ptr<Holder> gone) {
    gone->hang_up();
    auto again = std::make_unique<Holder>(port());
    again->take_over(*gone);
    auto hello = again->hello("data", gone->session());
    EXPECT_TRUE(hello && hello.value().resumed);
    return again;
  }
};

// --- Replies ------------------------------------------------------------------------------------

// Counts the attributes in a client's replies that come with a lease, and those without.
struct Seen {
  int leased = 0;
  int others = 0;
  void operator()(const std::unique_ptr<wire::Attributes>& attributes) {
    ++(is_leased(attributes) ? leased : others);
  }
};

Seen replies_seen(RawClient& client, const std::string& suffix) {
  Seen seen;
  const Bytes root = client.root();
  auto entry = client.lookup(root, "file").value().reply;
  seen(entry.attributes);
  seen(entry.parent_attributes);
  seen(client.get_attr(entry.handle).value().reply.attributes);
  auto opened = client.open(entry.handle, O_RDWR).value().reply;
  seen(opened.attributes);
  seen(client.get_attr(entry.handle, opened.open_id).value().reply.attributes);
  seen(client.write(opened.open_id, 0, "x").value().reply.attributes);
  seen(client.read(opened.open_id, 0, 1).value().reply.attributes);
  auto created = client.create(root, "created" + suffix).value().reply;
  seen(created.attributes);
  seen(created.parent_attributes);
  auto made = client.mkdir(root, "made" + suffix).value().reply;
  seen(made.attributes);
  seen(made.parent_attributes);
  wire::ReadDirRequestT list;
  list.caller = client.caller();
  list.handle = root;
  list.max_bytes = 100'000;
  list.with_attributes = true;
  auto listed = client.call(list).value().reply;
  seen(listed.directory);
  for (const auto& found : listed.entries) {
    if (found->name != "." && found->name != "..") seen(found->attributes);
  }
  seen(client.unlink(root, "created" + suffix).value().reply.parent_attributes);
  return seen;
}

TEST_F(Leases, AreGivenWithEveryReplyThatShowsAFile) {
  (void)holder_->call(wire::ByeRequestT());
  auto holder = this->holder();
  const Seen seen = replies_seen(*holder, "");
  EXPECT_EQ(seen.leased, 18);
  EXPECT_EQ(seen.others, 0);
  EXPECT_TRUE(hears_nothing(*holder));
}

TEST_F(Leases, AreGivenToNobodyWhoDoesNotKnowThem) {
  (void)holder_->call(wire::ByeRequestT());
  const Seen seen = replies_seen(*other_, "");
  EXPECT_EQ(seen.leased, 0);
  EXPECT_EQ(seen.others, 18);
  wire::ReturnLeasesRequestT everything;
  everything.everything = true;
  EXPECT_TRUE(other_->call(everything));
  EXPECT_EQ(replies_seen(*other_, "2").leased, 0);
}

TEST_F(Leases, AreNotGivenOfAFileWithSeveralNames) {
  fs::create_hard_link(tree() / "file", tree() / "link");
  EXPECT_FALSE(holder_->gets_lease(file_));
  fs::remove(tree() / "link");
  EXPECT_TRUE(holder_->gets_lease(file_));
}

class NoLeases : public Leases {
  void adjust(Options& options) override {
    Leases::adjust(options);
    options.exports[0].leases = false;
  }
  void SetUp() override {
    ServerTest::SetUp();
    put_file("file", "content");
  }
};

TEST_F(NoLeases, WhereTheExportHasNone) {
  EXPECT_EQ(replies_seen(*holder(), "").leased, 0);
}

class LeasesOfOverlappingExports : public Leases {
  void adjust(Options& options) override {
    Leases::adjust(options);
    options.exports.push_back(options.exports[0]);
    options.exports[1].name = "below";
    options.exports[1].path = tree() / "below";
  }
  void SetUp() override {
    fs::create_directories(tree() / "below");
    ServerTest::SetUp();
    put_file("file", "content");
  }
};

TEST_F(LeasesOfOverlappingExports, HaveNone) {
  EXPECT_EQ(replies_seen(*holder(), "").leased, 0);
}

// --- Recalls ------------------------------------------------------------------------------------

TEST_F(Leases, TwoRecallsAtOnce) {
  auto third = connect();
  const FrameHeader first = begin_write(*other_);
  const auto one = holder_->next_recall();
  const FrameHeader second = begin_write(*third);
  const auto two = holder_->next_recall();
  EXPECT_NE(one.recall, two.recall);
  EXPECT_THAT(holder_->describe(two), ElementsAre("file"));
  EXPECT_TRUE(holder_->give_back({two.recall}));
  EXPECT_TRUE(is_answered(*third, second));
  EXPECT_TRUE(hears_nothing(*other_));
  EXPECT_FALSE(holder_->gets_lease(file_));
  EXPECT_TRUE(holder_->give_back({one.recall}));
  EXPECT_TRUE(is_answered(*other_, first));
  EXPECT_TRUE(holder_->gets_lease(file_));
}

TEST_F(Leases, TwoWhoChangeWhatTheOtherHolds) {
  auto second = holder();
  (void)second->hold(root_, "other");
  const std::uint64_t of_first = open_file(*holder_, other_file_);
  const std::uint64_t of_second = open_file(*second, file_);
  const FrameHeader by_first = holder_->next(MessageType::kWrite);
  ASSERT_TRUE(holder_->send(by_first, write_request(of_first), "1"));
  const auto from_second = second->next_recall();
  const FrameHeader by_second = second->next(MessageType::kWrite);
  ASSERT_TRUE(second->send(by_second, write_request(of_second), "2"));
  const auto from_first = holder_->next_recall();
  // Both sessions wait for a reply themselves, and return the leases nevertheless.
  const auto give_back = [](Holder& holder, std::uint64_t recall) {
    wire::ReturnLeasesRequestT request;
    request.recalls = {recall};
    return bool(holder.exchange(holder.next(MessageType::kReturnLeases, 5), request));
  };
  EXPECT_TRUE(give_back(*holder_, from_first.recall));
  EXPECT_TRUE(is_answered(*second, by_second));
  EXPECT_TRUE(give_back(*second, from_second.recall));
  EXPECT_TRUE(is_answered(*holder_, by_first));
}

TEST_F(Leases, ManyHoldADirectory) {
  std::vector<std::unique_ptr<Holder>> holders;
  for (int i = 0; i < 40; ++i) {
    holders.push_back(holder());
    (void)holders.back()->hold(holders.back()->root(), "directory");
    holders.back()->know(root_, "root");
  }
  holder_->hang_up();
  EXPECT_TRUE(come_back(std::move(holder_))->give_back({}, /*everything=*/true));
  wire::MkdirRequestT mkdir;
  mkdir.caller = other_->caller();
  mkdir.parent = root_;
  mkdir.name = "made";
  const FrameHeader header = other_->next(MessageType::kMkdir);
  ASSERT_TRUE(other_->send(header, mkdir));
  for (auto& holder : holders) {
    EXPECT_TRUE(hears_nothing(*other_));
    const auto recalled = holder->next_recall();
    EXPECT_THAT(holder->describe(recalled), ElementsAre("root: made"));
    EXPECT_TRUE(holder->give_back({recalled.recall}));
  }
  EXPECT_TRUE(other_->read_answer<wire::EntryReply>(header));
  for (auto& holder : holders) EXPECT_TRUE(holder->gets_lease(root_));
}

TEST_F(Leases, WhatIsGivenUpIsNotRecalled) {
  EXPECT_TRUE(holder_->drop({file_, directory_, Bytes(), Bytes(200, 1)}));
  EXPECT_TRUE(is_answered(*other_, begin_write(*other_)));
  EXPECT_TRUE(other_->mkdir(directory_, "made"));
  EXPECT_TRUE(hears_nothing(*holder_));
  EXPECT_TRUE(holder_->gets_lease(file_));
  const FrameHeader write = begin_write(*other_);
  const auto recalled = holder_->next_recall();
  EXPECT_THAT(holder_->describe(recalled), ElementsAre("file"));
  // A lease that is being recalled must be returned; giving it up is not enough.
  EXPECT_TRUE(holder_->drop({file_}));
  EXPECT_TRUE(hears_nothing(*other_));
  EXPECT_TRUE(holder_->give_back({recalled.recall}));
  EXPECT_TRUE(is_answered(*other_, write));
}

TEST_F(Leases, NumbersThatNobodyKnowsAreIgnored) {
  const FrameHeader write = begin_write(*other_);
  const auto recalled = holder_->next_recall();
  std::vector<std::uint64_t> unknown;
  for (std::uint64_t i = 0; i < 7000; ++i) unknown.push_back(recalled.recall + 1 + i);
  EXPECT_TRUE(holder_->give_back(unknown));
  EXPECT_TRUE(holder_->give_back({0, UINT64_MAX}));
  EXPECT_TRUE(holder_->give_back({}));
  EXPECT_TRUE(hears_nothing(*other_));
  const std::uint64_t recall = recalled.recall;
  EXPECT_TRUE(holder_->give_back({recall, recall, recall}));
  EXPECT_TRUE(is_answered(*other_, write));
}

TEST_F(Leases, AMessageWithAMillionNumbersIsRefused) {
  const FrameHeader write = begin_write(*other_);
  (void)holder_->next_recall();
  wire::ReturnLeasesRequestT request;
  request.recalls.resize(1'000'000);
  (void)holder_->send(holder_->next(MessageType::kReturnLeases, 3), request);
  EXPECT_TRUE(holder_->has_ended());
  EXPECT_TRUE(hears_nothing(*other_));
  EXPECT_TRUE(come_back(std::move(holder_))->give_back({}, /*everything=*/true));
  EXPECT_TRUE(is_answered(*other_, write));
}

TEST_F(Leases, AReadOnlySessionMayReturnThem) {
  Holder reader(port());
  wire::HelloRequestT hello;
  hello.version = proto::kVersion;
  hello.features = proto::kFeatureLeases;
  hello.export_name = "data";
  hello.read_only = true;
  ASSERT_TRUE(reader.exchange(FrameHeader{MessageType::kHello}, hello));
  (void)reader.hold(root_, "file");
  EXPECT_TRUE(holder_->give_back({}, /*everything=*/true));
  const FrameHeader write = begin_write(*other_);
  EXPECT_TRUE(reader.give_back({reader.next_recall().recall}));
  EXPECT_TRUE(is_answered(*other_, write));
}

// --- Connections that are cut -------------------------------------------------------------------

TEST_F(Leases, WhoComesBackGetsNoneBeforeReturningEverything) {
  auto witness = holder();
  (void)witness->hold(root_, "file");
  holder_->hang_up();
  const FrameHeader write = begin_write(*other_);
  // This recall shows that the change has been made.
  EXPECT_TRUE(witness->give_back({witness->next_recall().recall}));
  EXPECT_TRUE(hears_nothing(*other_));

  auto again = come_back(std::move(holder_));
  EXPECT_FALSE(again->gets_lease(file_));
  EXPECT_FALSE(again->gets_lease(directory_));
  EXPECT_TRUE(again->give_back({}));
  EXPECT_FALSE(again->gets_lease(directory_));
  EXPECT_TRUE(hears_nothing(*other_));

  EXPECT_TRUE(again->give_back({}, /*everything=*/true));
  EXPECT_TRUE(is_answered(*other_, write));
  EXPECT_TRUE(again->gets_lease(file_));
  EXPECT_TRUE(again->gets_lease(directory_));
  EXPECT_TRUE(hears_nothing(*again));
}

TEST_F(Leases, TheChangeIsAnsweredToAClientThatHasComeBackMeanwhile) {
  const FrameHeader write = begin_write(*other_);
  const auto recalled = holder_->next_recall();
  RawClient again(port());
  other_->hang_up();
  again.take_over(*other_);
  ASSERT_TRUE(again.hello("data", other_->session()));
  wire::WriteRequestT request;  // the server ignores the contents of a retry
  ASSERT_TRUE(again.send(write, request, "new"));
  EXPECT_TRUE(hears_nothing(again));
  EXPECT_TRUE(holder_->give_back({recalled.recall}));
  EXPECT_TRUE(is_answered(again, write));
  EXPECT_EQ(file_content("file"), "newtent");
}

TEST_F(Leases, NobodyWaitsForASessionThatHasEnded) {
  const FrameHeader first = begin_write(*other_);
  (void)holder_->next_recall();
  EXPECT_TRUE(holder_->call(wire::ByeRequestT()));
  EXPECT_TRUE(is_answered(*other_, first));
  EXPECT_TRUE(other_->mkdir(root_, "made"));
}

// --- Much at once -------------------------------------------------------------------------------

class LeasesWithPatience : public Leases {
  void adjust(Options& options) override {
    Leases::adjust(options);
    options.recall_patience = 1h;
  }
};

// Otherwise the client could not return leases over that connection, for which such calls may wait.
TEST_F(LeasesWithPatience, ACallThatWaitsForOthersDoesNotStopItsConnection) {
  constexpr std::uint32_t kWrites = 80;  // more bytes than a connection may hold
  RawClient client(port());
  ASSERT_TRUE(client.hello("data", {}, kWrites + 1));
  const std::uint64_t open_id = open_file(client, file_);
  const std::string payload(kMaxPayloadBytes, 'x');
  for (std::uint32_t slot = 0; slot < kWrites; ++slot) {
    const FrameHeader header = client.next(MessageType::kWrite, slot);
    ASSERT_TRUE(client.send(header, write_request(open_id), payload));
  }
  std::vector<std::uint64_t> recalls;
  for (std::uint32_t i = 0; i < kWrites; ++i) recalls.push_back(holder_->next_recall().recall);
  EXPECT_TRUE(hears_nothing(client, kWrites));
  EXPECT_TRUE(holder_->give_back(recalls));
  for (std::uint32_t i = 0; i < kWrites; ++i) EXPECT_TRUE(client.receive());
  EXPECT_TRUE(hears_nothing(client, kWrites));
}

// --- Sessions that end --------------------------------------------------------------------------

class LeasesOfTheLost : public Leases {
  void adjust(Options& options) override {
    Leases::adjust(options);
    options.grace = 200ms;
    options.recall_patience = 1h;
  }
};

TEST_F(LeasesOfTheLost, NobodyWaitsForASessionThatDoesNotComeBack) {
  const FrameHeader first = begin_write(*other_);
  (void)holder_->next_recall();
  holder_->hang_up();
  EXPECT_TRUE(is_answered(*other_, first));
  EXPECT_TRUE(other_->mkdir(root_, "made"));
}

// --- Clients that do not answer -----------------------------------------------------------------

class LeasesOfTheSilent : public Leases {
  void adjust(Options& options) override {
    Leases::adjust(options);
    options.recall_patience = 100ms;
  }
};

TEST_F(LeasesOfTheSilent, TheLeasesOfWhoDoesNotAnswerAreVoid) {
  auto second = holder();
  (void)second->hold(root_, "other");
  const FrameHeader write = begin_write(*other_);
  const auto recalled = holder_->next_recall();
  EXPECT_TRUE(is_answered(*other_, write));
  const auto revoked = holder_->next_recall();
  EXPECT_TRUE(revoked.everything);
  EXPECT_EQ(revoked.recall, 0u);
  EXPECT_TRUE(revoked.leases.empty());
  EXPECT_TRUE(holder_->give_back({recalled.recall}));  // too late
  // The session gets no further leases, so it holds nobody up; the other session keeps its leases.
  EXPECT_FALSE(holder_->gets_lease(file_));
  wire::SetAttrRequestT change;
  change.caller = other_->caller();
  change.handle = directory_;
  change.valid = proto::kSetMode;
  change.mode = 0700;
  EXPECT_TRUE(other_->call(change));
  EXPECT_TRUE(hears_nothing(*holder_));
  EXPECT_TRUE(hears_nothing(*second));
}

TEST_F(LeasesOfTheSilent, AlsoOfWhoIsNotThere) {
  holder_->hang_up();
  const FrameHeader write = begin_write(*other_);
  EXPECT_TRUE(is_answered(*other_, write));
}

// --- Many replies --------------------------------------------------------------------------------

// A holder that asks for far more bytes than the sockets' buffers hold, and reads nothing until the
// server has made all of its replies.
class LeasesOfTheSlow : public Leases {
 protected:
  static constexpr int kReads = 48;

  void SetUp() override {
    Leases::SetUp();
    put_file("large", std::string(kMaxPayloadBytes, 'x'));
    put_file("mark", "");
    slow_ = std::make_unique<Holder>(port());
    ASSERT_TRUE(slow_->hello("data", {}, 64));
    large_ = slow_->hold(root_, "large");
    mark_ = slow_->hold(root_, "mark");
  }
  void ask_for_much() {
    wire::ReadRequestT read;
    read.open_id = open_file(*slow_, large_);
    read.length = kMaxPayloadBytes;
    auto last = write_request(open_file(*slow_, mark_));
    for (std::uint32_t slot = 1; slot <= kReads; ++slot) {
      ASSERT_TRUE(slow_->send(slow_->next(MessageType::kRead, slot), read));
    }
    ASSERT_TRUE(slow_->send(slow_->next(MessageType::kWrite, kReads + 1), last, "done"));
    for (int tries = 0; tries < 5'000 && file_content("mark").empty(); ++tries) {
      std::this_thread::sleep_for(1ms);
    }
    ASSERT_EQ(file_content("mark"), "done");
  }

  std::unique_ptr<Holder> slow_;
  Bytes large_, mark_;
};

TEST_F(LeasesOfTheSlow, ARecallDoesNotWaitForTheRepliesBeforeIt) {
  ask_for_much();
  auto change = write_request(open_file(*other_, large_));
  const FrameHeader header = other_->next(MessageType::kWrite);
  ASSERT_TRUE(other_->send(header, change, "new"));
  EXPECT_TRUE(hears_nothing(*other_));
  int before = 0, after = 0;
  std::uint64_t recall = 0;
  while (before + after <= kReads) {
    auto frame = slow_->receive();
    ASSERT_TRUE(frame) << errno_name(frame.error());
    if (frame.value().header.is_notice()) {
      auto recalled = proto::decode<wire::LeasesRecalled>(frame.value().meta);
      ASSERT_TRUE(recalled);
      recall = recalled.value().recall;
    } else {
      ++(recall == 0 ? before : after);
    }
  }
  EXPECT_GT(after, kReads / 2);
  ASSERT_NE(recall, 0u);
  EXPECT_TRUE(slow_->give_back({recall}));
  EXPECT_TRUE(is_answered(*other_, header));
}

// --- The disk -----------------------------------------------------------------------------------

class WatchedDisk : public Leases {
 protected:
  void adjust(Options& options) override {
    Leases::adjust(options);
    options.watches_disk = true;
  }
  void SetUp() override {
    const std::string where = fs::temp_directory_path();
    const UniqueFd root(::open(where.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto watch = DiskWatch::start(root.get(), [] {});
    if (!watch) GTEST_SKIP() << "no leases here: " << errno_text(watch.error());
    Leases::SetUp();
  }
};

TEST_F(WatchedDisk, AChangeRevokesAllAndGivesNoneForATime) {
  const std::string command = "touch " + (tree() / "directory/inner").string();
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_TRUE(holder_->next_recall().everything);
  EXPECT_FALSE(holder_->gets_lease(file_));
  const FrameHeader write = begin_write(*other_);
  EXPECT_TRUE(is_answered(*other_, write));
  EXPECT_TRUE(hears_nothing(*holder_));
}

}  // namespace
}  // namespace foliofs::server
