// Exclusive leases over the wire: other clients' requests for a file that is being made wait until
// its maker has sent what it kept.
#include "server/call.h"
#include "tests/component/server/leases_fixture.h"

namespace foliofs::server {
namespace {

using ::testing::ElementsAre;
using namespace std::chrono_literals;

bool is_exclusive(const std::unique_ptr<wire::Attributes>& attributes) {
  EXPECT_TRUE(attributes);
  return attributes && (attributes->flags() & proto::kExclusive) != 0;
}

class ExclusiveLeases : public LeasesTest {
 protected:
  // With this patience, no request is answered because the holder has taken too long.
  void adjust(Options& options) override {
    LeasesTest::adjust(options);
    options.recall_patience = 1h;
  }
  void SetUp() override {
    LeasesTest::SetUp();
    make();
  }

  // The holder makes "made" and keeps it open.
  void make() {
    auto created = holder_->create(root_, "made", O_RDWR | O_EXCL, 0600);
    ASSERT_TRUE(created);
    EXPECT_TRUE(is_exclusive(created.value().reply.attributes));
    EXPECT_TRUE(is_leased(created.value().reply.attributes));
    made_ = created.value().reply.handle;
    open_id_ = created.value().reply.open_id;
    holder_->know(made_, "made");
    // So the holder gets no recalls for other names.
    EXPECT_TRUE(holder_->drop({root_}));
  }
  void make_again() {
    EXPECT_TRUE(holder_->close(open_id_));
    EXPECT_TRUE(holder_->unlink(root_, "made"));
    make();
  }
  // The holder sends the attributes and bytes that it has kept.
  void send_kept() {
    auto request = write_request(open_id_);
    request.valid = proto::kSetMode;
    request.mode = 0640;
    EXPECT_TRUE(holder_->call(request, "kept"));
  }

  // The reply that the other session gets. It must come only after the holder has returned the
  // lease, and show what the holder has sent before.
  template <class Native>
  auto answer_to(const Native& request, std::string_view payload = {}) {
    using Message = proto::Message<typename Native::TableType>;
    const FrameHeader header = other_->next(Message::kType);
    EXPECT_TRUE(other_->send(header, request, payload));
    const auto recalled = holder_->next_recall();
    EXPECT_THAT(holder_->describe(recalled), ElementsAre("made"));
    EXPECT_FALSE(recalled.everything);
    send_kept();
    EXPECT_TRUE(hears_nothing(*other_));
    EXPECT_TRUE(holder_->give_back({recalled.recall}));
    auto answer = other_->template read_answer<typename Message::Reply>(header);
    EXPECT_TRUE(answer) << errno_name(answer.error());
    EXPECT_TRUE(hears_nothing(*holder_));
    if (!answer) return Answer<typename Message::Reply>();
    const auto& attributes = answer.value().reply.attributes;
    EXPECT_TRUE(attributes && (attributes->mode() & 07777) == 0640);
    return std::move(answer.value());
  }
  template <class Native>
  Native of(const Bytes& handle) const {
    Native request;
    request.caller = other_->caller();
    request.handle = handle;
    return request;
  }
  template <class Native>
  Native in_root(const std::string& name) const {
    Native request;
    request.caller = other_->caller();
    request.parent = root_;
    request.name = name;
    return request;
  }

  // Sends a GETATTR of the file in its own slot, without waiting for the reply.
  FrameHeader begin_look(RawClient& client, const Bytes& handle) {
    const FrameHeader header = client.next(MessageType::kGetAttr, 1);
    EXPECT_TRUE(client.send(header, of<wire::GetAttrRequestT>(handle)));
    return header;
  }
  static bool is_answered(RawClient& client, const FrameHeader& look) {
    return bool(client.read_answer<wire::AttrReply>(look));
  }
  bool nobody_waits() {
    auto client = connect();
    const bool answered = client->lookup(root_, "made") && client->get_attr(made_);
    return answered && hears_nothing(*holder_);
  }

  Bytes made_;
  std::uint64_t open_id_ = 0;
};

// --- Who gets one -------------------------------------------------------------------------------

TEST_F(ExclusiveLeases, AreGivenOnceToWhoMakesTheFile) {
  auto looked = holder_->get_attr(made_);
  ASSERT_TRUE(looked);
  EXPECT_TRUE(is_leased(looked.value().reply.attributes));
  EXPECT_FALSE(is_exclusive(looked.value().reply.attributes));
  auto opened = holder_->create(root_, "made", O_RDWR);
  ASSERT_TRUE(opened);
  EXPECT_FALSE(opened.value().reply.created);
  EXPECT_FALSE(is_exclusive(opened.value().reply.attributes));
}

TEST_F(ExclusiveLeases, AreNotGivenOfAFileThatIsThere) {
  for (int flags : {O_RDWR, O_RDWR | O_TRUNC}) {
    auto opened = holder_->create(root_, "file", flags);
    ASSERT_TRUE(opened);
    EXPECT_TRUE(is_leased(opened.value().reply.attributes));
    EXPECT_FALSE(is_exclusive(opened.value().reply.attributes));
  }
  EXPECT_TRUE(other_->get_attr(file_));
  EXPECT_TRUE(hears_nothing(*holder_));
}

TEST_F(ExclusiveLeases, AreNotGivenWithoutAnOpenFile) {
  auto mknod = in_root<wire::MknodRequestT>("node");
  mknod.mode = S_IFREG | 0644;
  auto node = holder_->call(mknod);
  auto directory = holder_->mkdir(root_, "new");
  ASSERT_TRUE(node && directory);
  EXPECT_FALSE(is_exclusive(node.value().reply.attributes));
  EXPECT_FALSE(is_exclusive(directory.value().reply.attributes));
  EXPECT_TRUE(other_->lookup(root_, "node"));
  EXPECT_TRUE(other_->lookup(root_, "new"));
  EXPECT_TRUE(hears_nothing(*holder_));
}

TEST_F(ExclusiveLeases, AreGivenToNobodyWhoHasNoLeases) {
  auto created = other_->create(root_, "created");
  ASSERT_TRUE(created);
  EXPECT_FALSE(is_exclusive(created.value().reply.attributes));
  EXPECT_TRUE(connect()->get_attr(created.value().reply.handle));
  EXPECT_TRUE(hears_nothing(*other_));
}

// --- Who waits ----------------------------------------------------------------------------------

TEST_F(ExclusiveLeases, WhoLooksItUpWaits) {
  const auto answer = answer_to(in_root<wire::LookupRequestT>("made"));
  EXPECT_EQ(answer.reply.handle, made_);
  EXPECT_TRUE(nobody_waits());
}

TEST_F(ExclusiveLeases, WhoLooksAtItWaits) {
  const auto answer = answer_to(of<wire::GetAttrRequestT>(made_));
  ASSERT_TRUE(answer.reply.attributes);
  EXPECT_EQ(answer.reply.attributes->size(), 4u);
}

TEST_F(ExclusiveLeases, WhoOpensItWaits) {
  auto request = of<wire::OpenRequestT>(made_);
  request.read_bytes = 100;
  EXPECT_EQ(answer_to(request).payload, "kept");
}

TEST_F(ExclusiveLeases, WhoWouldHaveMadeItWaits) {
  const auto answer = answer_to(other_->create_request(root_, "made"));
  EXPECT_FALSE(answer.reply.created);
  EXPECT_EQ(answer.reply.handle, made_);
}

TEST_F(ExclusiveLeases, WhoMayOnlyReadWaits) {
  wire::HelloRequestT hello;
  hello.version = proto::kVersion;
  hello.export_name = "data";
  hello.read_only = true;
  other_ = std::make_unique<RawClient>(port());
  ASSERT_TRUE(other_->exchange(FrameHeader{MessageType::kHello}, hello));
  EXPECT_FALSE(answer_to(other_->create_request(root_, "made", O_RDONLY)).reply.created);
}

TEST_F(ExclusiveLeases, WhoMustMakeItIsToldAtOnceThatItIsThere) {
  EXPECT_EQ(errno_of(other_->create(root_, "made", O_RDWR | O_EXCL)), EEXIST);
  EXPECT_TRUE(hears_nothing(*holder_));
}

TEST_F(ExclusiveLeases, WhoSetsAttributesWaits) {
  auto request = of<wire::SetAttrRequestT>(made_);
  request.valid = proto::kSetMtime;
  request.mtime_ns = 5'000'000'000;
  const auto answer = answer_to(request);
  ASSERT_TRUE(answer.reply.attributes);
  EXPECT_EQ(answer.reply.attributes->mtime_ns(), 5'000'000'000);
}

TEST_F(ExclusiveLeases, WhoSetsTheSizeWaits) {
  auto request = of<wire::SetAttrRequestT>(made_);
  request.valid = proto::kSetSize;
  request.size = 2;
  (void)answer_to(request);
  EXPECT_EQ(file_content("made"), "ke");
}

TEST_F(ExclusiveLeases, WhoSetsXattrsWaits) {
  auto set = of<wire::SetXattrRequestT>(made_);
  set.name = "user.a";
  (void)answer_to(set, "value");
  make_again();
  set.handle = made_;
  ASSERT_TRUE(holder_->call(set, "value"));
  auto remove = of<wire::RemoveXattrRequestT>(made_);
  remove.name = "user.a";
  (void)answer_to(remove);
  EXPECT_EQ(errno_of(other_->call(remove)), ENODATA);
}

TEST_F(ExclusiveLeases, WhoReadsXattrsWaits) {
  auto set = of<wire::SetXattrRequestT>(made_);
  set.name = "user.a";
  ASSERT_TRUE(holder_->call(set, "value"));
  auto get = of<wire::GetXattrRequestT>(made_);
  get.name = "user.a";
  EXPECT_EQ(answer_to(get).payload, "value");
  make_again();
  set.handle = made_;
  ASSERT_TRUE(holder_->call(set, "value"));
  const std::string names = answer_to(of<wire::ListXattrRequestT>(made_)).payload;
  EXPECT_NE(names.find("user.a"), names.npos);
}

TEST_F(ExclusiveLeases, WhoLinksItWaits) {
  auto link = in_root<wire::LinkRequestT>("linked");
  link.handle = made_;
  const auto answer = answer_to(link);
  ASSERT_TRUE(answer.reply.attributes);
  EXPECT_EQ(answer.reply.attributes->nlink(), 2u);
}

TEST_F(ExclusiveLeases, NothingIsDoneBeforeTheLeaseIsReturned) {
  const auto expect_truncated_late = [&](const auto& request) {
    using Request = typename std::decay_t<decltype(request)>::TableType;
    using Message = proto::Message<Request>;
    send_kept();
    const FrameHeader header = other_->next(Message::kType);
    ASSERT_TRUE(other_->send(header, request));
    const auto recalled = holder_->next_recall();
    EXPECT_TRUE(hears_nothing(*other_));
    EXPECT_EQ(file_content("made"), "kept");
    EXPECT_TRUE(holder_->give_back({recalled.recall}));
    EXPECT_TRUE(other_->template read_answer<typename Message::Reply>(header));
    EXPECT_EQ(file_content("made"), "");
  };
  auto open = of<wire::OpenRequestT>(made_);
  open.open_flags = O_WRONLY | O_TRUNC;
  expect_truncated_late(open);
  make_again();
  expect_truncated_late(other_->create_request(root_, "made", O_WRONLY | O_TRUNC));
  make_again();
  auto set = of<wire::SetAttrRequestT>(made_);
  set.valid = proto::kSetSize;
  expect_truncated_late(set);
}

TEST_F(ExclusiveLeases, ALookIsNoChangeForTheHolder) {
  auto before = holder_->get_attr(made_);
  ASSERT_TRUE(before);
  const FrameHeader look = begin_look(*other_, made_);
  const auto recalled = holder_->next_recall();
  ASSERT_EQ(recalled.leases.size(), 1u);
  const wire::Attributes& known = *before.value().reply.attributes;
  EXPECT_EQ(recalled.leases[0]->change_epoch, known.change_epoch());
  EXPECT_EQ(recalled.leases[0]->foreign_changes, known.foreign_changes());
  EXPECT_TRUE(holder_->give_back({recalled.recall}));
  EXPECT_TRUE(is_answered(*other_, look));
  EXPECT_TRUE(holder_->gets_lease(made_));
  EXPECT_TRUE(nobody_waits());  // the new lease is not exclusive
}

TEST_F(ExclusiveLeases, TwoWhoLookAreBothAnswered) {
  auto third = connect();
  const FrameHeader first = begin_look(*other_, made_);
  const auto one = holder_->next_recall();
  const FrameHeader second = begin_look(*third, made_);
  const auto two = holder_->next_recall();
  EXPECT_NE(one.recall, two.recall);
  EXPECT_TRUE(holder_->give_back({two.recall}));
  EXPECT_TRUE(is_answered(*third, second));
  EXPECT_TRUE(hears_nothing(*other_));
  // Before the first return, the holder has sent all that it kept.
  EXPECT_TRUE(nobody_waits());
  EXPECT_TRUE(holder_->give_back({one.recall}));
  EXPECT_TRUE(is_answered(*other_, first));
}

TEST_F(ExclusiveLeases, TwoWhoLookAtWhatTheOtherHasMade) {
  auto second = holder();
  auto created = second->create(root_, "theirs");
  ASSERT_TRUE(created);
  const FrameHeader by_first = begin_look(*holder_, created.value().reply.handle);
  const auto from_second = second->next_recall();
  const FrameHeader by_second = begin_look(*second, made_);
  const auto from_first = holder_->next_recall();
  // Both sessions wait for a reply themselves, and return the leases nevertheless.
  EXPECT_TRUE(holder_->give_back({from_first.recall}));
  EXPECT_TRUE(is_answered(*second, by_second));
  EXPECT_TRUE(second->give_back({from_second.recall}));
  EXPECT_TRUE(is_answered(*holder_, by_first));
}

// --- Who does not wait --------------------------------------------------------------------------

TEST_F(ExclusiveLeases, TheMakerDoesNotWait) {
  EXPECT_TRUE(holder_->lookup(root_, "made"));
  EXPECT_TRUE(holder_->get_attr(made_));
  EXPECT_TRUE(holder_->create(root_, "made"));
  EXPECT_NE(open_file(*holder_, made_), 0u);
  auto set = of<wire::SetXattrRequestT>(made_);
  set.name = "user.a";
  EXPECT_TRUE(holder_->call(set, "value"));
  auto link = in_root<wire::LinkRequestT>("linked");
  link.handle = made_;
  EXPECT_TRUE(holder_->call(link));
  EXPECT_TRUE(holder_->unlink(root_, "linked"));
  EXPECT_TRUE(hears_nothing(*holder_));
  (void)answer_to(of<wire::GetAttrRequestT>(made_));  // the lease is still exclusive
}

// A listing shows only the file's name; a client that wants more sends LOOKUP.
TEST_F(ExclusiveLeases, AListingDoesNotWait) {
  auto request = of<wire::ReadDirRequestT>(root_);
  request.max_bytes = 100'000;
  request.with_attributes = true;
  const auto is_shown = [&](RawClient& client, const std::string& name) {
    auto listed = client.call(request);
    EXPECT_TRUE(listed);
    if (!listed) return false;
    for (const auto& entry : listed.value().reply.entries) {
      if (entry->name != name) continue;
      EXPECT_EQ(entry->handle.empty(), entry->attributes == nullptr);
      EXPECT_NE(entry->ino, 0u);
      return !entry->handle.empty();
    }
    ADD_FAILURE() << "no entry called " << name;
    return false;
  };
  EXPECT_FALSE(is_shown(*other_, "made"));
  EXPECT_TRUE(is_shown(*other_, "file"));
  EXPECT_TRUE(is_shown(*holder_, "made"));
  EXPECT_TRUE(hears_nothing(*holder_));
  (void)answer_to(in_root<wire::LookupRequestT>("made"));
  EXPECT_TRUE(is_shown(*other_, "made"));
}

// Like every change, a change of the name is made first, and then its reply waits.
TEST_F(ExclusiveLeases, WhoMovesOrRemovesItDoesSoAtOnce) {
  auto rename = in_root<wire::RenameRequestT>("made");
  rename.new_parent = root_;
  rename.new_name = "moved";
  const FrameHeader move = other_->next(MessageType::kRename);
  ASSERT_TRUE(other_->send(move, rename));
  const auto moved = holder_->next_recall();
  EXPECT_THAT(holder_->describe(moved), ElementsAre("made"));
  EXPECT_TRUE(fs::exists(tree() / "moved"));
  EXPECT_TRUE(hears_nothing(*other_));
  EXPECT_TRUE(holder_->give_back({moved.recall}));
  EXPECT_TRUE(other_->read_answer<wire::RenameReply>(move));

  make();
  const FrameHeader removal = other_->next(MessageType::kUnlink);
  ASSERT_TRUE(other_->send(removal, in_root<wire::UnlinkRequestT>("made")));
  const auto removed = holder_->next_recall();
  EXPECT_THAT(holder_->describe(removed), ElementsAre("made"));
  EXPECT_FALSE(fs::exists(tree() / "made"));
  EXPECT_TRUE(hears_nothing(*other_));
  EXPECT_TRUE(holder_->give_back({removed.recall}));
  auto answer = other_->read_answer<wire::UnlinkReply>(removal);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer.value().reply.victim_handle, made_);
  ASSERT_TRUE(answer.value().reply.victim);
  EXPECT_EQ(answer.value().reply.victim->nlink(), 0u);
}

// --- How they end -------------------------------------------------------------------------------

TEST_F(ExclusiveLeases, NobodyWaitsForAFileThatIsClosed) {
  EXPECT_TRUE(holder_->close(open_id_));
  EXPECT_TRUE(nobody_waits());
  EXPECT_TRUE(holder_->gets_lease(made_));
  EXPECT_NE(open_file(*other_, made_), 0u);
  EXPECT_TRUE(hears_nothing(*holder_));
}

// The return of the lease makes the server run the waiting request again; the close does not,
// although it ends the reason to wait.
TEST_F(ExclusiveLeases, WhoWaitsWhenTheFileIsClosedIsAnsweredWithTheReturn) {
  const FrameHeader look = begin_look(*other_, made_);
  const auto recalled = holder_->next_recall();
  EXPECT_TRUE(holder_->close(open_id_));
  EXPECT_TRUE(nobody_waits());
  EXPECT_TRUE(holder_->give_back({recalled.recall}));
  EXPECT_TRUE(is_answered(*other_, look));
}

TEST_F(ExclusiveLeases, NobodyWaitsForWhatIsGivenUp) {
  EXPECT_TRUE(holder_->drop({made_}));
  EXPECT_TRUE(nobody_waits());
}

TEST_F(ExclusiveLeases, NobodyWaitsForASessionThatHasEnded) {
  const FrameHeader look = begin_look(*other_, made_);
  (void)holder_->next_recall();
  EXPECT_TRUE(holder_->call(wire::ByeRequestT()));
  EXPECT_TRUE(is_answered(*other_, look));
  EXPECT_TRUE(connect()->lookup(root_, "made"));
}

TEST_F(ExclusiveLeases, WhoComesBackHasNoneAfterReturningEverything) {
  holder_->hang_up();
  const FrameHeader look = begin_look(*other_, made_);
  EXPECT_TRUE(hears_nothing(*other_));  // so the server has found no connection for the recall
  Holder again(port());
  again.take_over(*holder_);
  ASSERT_TRUE(again.hello("data", holder_->session()));
  EXPECT_TRUE(hears_nothing(again));
  EXPECT_TRUE(hears_nothing(*other_));
  EXPECT_TRUE(again.give_back({}, /*everything=*/true));
  EXPECT_TRUE(is_answered(*other_, look));
  EXPECT_TRUE(connect()->lookup(root_, "made"));
  EXPECT_TRUE(hears_nothing(again));
}

// --- Those who wait -----------------------------------------------------------------------------

TEST_F(ExclusiveLeases, WhoWaitsMayComeBackMeanwhile) {
  const auto request = of<wire::OpenRequestT>(made_);
  const FrameHeader open = other_->next(MessageType::kOpen);
  ASSERT_TRUE(other_->send(open, request));
  const auto recalled = holder_->next_recall();
  RawClient again(port());
  other_->hang_up();
  again.take_over(*other_);
  ASSERT_TRUE(again.hello("data", other_->session()));
  ASSERT_TRUE(again.send(open, request));
  EXPECT_TRUE(hears_nothing(again));
  EXPECT_TRUE(hears_nothing(*holder_));
  EXPECT_TRUE(holder_->give_back({recalled.recall}));
  auto opened = again.read_answer<wire::OpenReply>(open);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(again.close(opened.value().reply.open_id));
}

TEST_F(ExclusiveLeases, WhoWaitsMayGo) {
  ASSERT_TRUE(other_->send(other_->next(MessageType::kOpen), of<wire::OpenRequestT>(made_)));
  const auto recalled = holder_->next_recall();
  EXPECT_TRUE(other_->exchange(other_->next(MessageType::kBye, 3), wire::ByeRequestT()));
  EXPECT_TRUE(holder_->give_back({recalled.recall}));
  EXPECT_TRUE(nobody_waits());
}

// The server stops reading from a connection that holds too much memory, and these requests hold
// the most.
TEST_F(ExclusiveLeases, ManyWhoWaitDoNotStopTheirConnection) {
  constexpr std::uint32_t kOpens = kMaxSlots - 1;
  RawClient client(port());
  ASSERT_TRUE(client.hello("data", {}, kMaxSlots));
  auto request = of<wire::OpenRequestT>(made_);
  request.read_bytes = kMaxOpenReadBytes;
  for (std::uint32_t slot = 0; slot < kOpens; ++slot) {
    ASSERT_TRUE(client.send(client.next(MessageType::kOpen, slot), request));
  }
  std::vector<std::uint64_t> recalls;
  for (std::uint32_t i = 0; i < kOpens && !HasFailure(); ++i) {
    recalls.push_back(holder_->next_recall().recall);
  }
  EXPECT_TRUE(hears_nothing(client, kOpens));
  EXPECT_TRUE(holder_->give_back(recalls));
  for (std::uint32_t i = 0; i < kOpens; ++i) ASSERT_TRUE(client.receive());
  EXPECT_TRUE(hears_nothing(client, kOpens));
}

TEST_F(ExclusiveLeases, TheServerMayStop) {
  (void)begin_look(*other_, made_);
  (void)holder_->next_recall();
  server_.reset();
  EXPECT_TRUE(other_->has_ended());
}

// --- Clients that do not answer -----------------------------------------------------------------

class ExclusiveLeasesOfTheSilent : public ExclusiveLeases {
  void adjust(Options& options) override {
    ExclusiveLeases::adjust(options);
    options.recall_patience = 100ms;
  }
};

TEST_F(ExclusiveLeasesOfTheSilent, AreVoid) {
  const FrameHeader look = begin_look(*other_, made_);
  const auto recalled = holder_->next_recall();
  EXPECT_TRUE(is_answered(*other_, look));
  EXPECT_TRUE(holder_->next_recall().everything);
  EXPECT_TRUE(holder_->give_back({recalled.recall}));  // too late
  EXPECT_TRUE(nobody_waits());
  // The session gets no further leases, so it holds nobody up.
  auto created = holder_->create(root_, "next");
  ASSERT_TRUE(created);
  EXPECT_FALSE(is_exclusive(created.value().reply.attributes));
  EXPECT_TRUE(other_->lookup(root_, "next"));
}

TEST_F(ExclusiveLeasesOfTheSilent, AlsoOfWhoIsNotThere) {
  holder_->hang_up();
  EXPECT_TRUE(is_answered(*other_, begin_look(*other_, made_)));
}

class ExclusiveLeasesOfTheLost : public ExclusiveLeases {
  void adjust(Options& options) override {
    ExclusiveLeases::adjust(options);
    options.grace = 200ms;
  }
};

TEST_F(ExclusiveLeasesOfTheLost, NobodyWaitsForASessionThatDoesNotComeBack) {
  const FrameHeader look = begin_look(*other_, made_);
  (void)holder_->next_recall();
  holder_->hang_up();
  EXPECT_TRUE(is_answered(*other_, look));
}

}  // namespace
}  // namespace foliofs::server
