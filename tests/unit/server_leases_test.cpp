// Leases without a server: who holds one of a file, who loses it by which change, who is asked for
// it, and who waits for whom.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "server/inode_table.h"
#include "server/session.h"

namespace foliofs::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

const Handle kHandle{1, 2, 3};
const Handle kOther{4, 5};

HandleView view(const Handle& handle) {
  return {handle.data(), handle.size()};
}

// A client that remembers what it was told.
class Client final : public LeaseListener {
 public:
  void leases_recalled(std::uint64_t recall, const std::vector<RecalledLease>& leases) override {
    recalls.push_back(recall);
    last = leases;
  }
  void all_leases_recalled() override { ++told_all; }

  std::vector<std::uint64_t> recalls;
  std::vector<RecalledLease> last;
  int told_all = 0;
};

class Leases : public ::testing::Test {
 protected:
  struct Holder {
    std::shared_ptr<LeaseHolder> leases;
    std::shared_ptr<Client> client;
    LeaseHolder& operator*() const { return *leases; }
    LeaseHolder* operator->() const { return leases.get(); }
  };

  Leases() { gate_.open(); }
  ~Leases() override {
    for (const auto& holder : holders_) holder->end();
  }

  Holder holder(std::uint64_t session) {
    Holder made{std::make_shared<LeaseHolder>(session, gate_), std::make_shared<Client>()};
    made->listen(made.client);
    made->set_ready(true);
    holders_.push_back(made.leases);
    return made;
  }
  static std::shared_ptr<Inode> file() { return std::make_shared<Inode>(1); }
  static bool lease(const std::shared_ptr<Inode>& file, const Holder& holder) {
    return file->lease_to(*holder, view(kHandle));
  }
  // What `session` does to the file; `changed` false: it fails.
  std::vector<LostLease> change(Inode& file, std::uint64_t session, bool changed = true) {
    ChangeStamp& stamp = stamps_[&file];
    const auto look = [&stamp] {
      return stamp;
    };
    file.begin_change(look);
    if (changed) ++stamp.ctime_ns;
    std::vector<LostLease> lost;
    file.end_change(session, changed, look, lost);
    return lost;
  }
  // The same with the holders told; counts in `answered` when its maker is answered.
  void change_and_tell(const std::shared_ptr<Inode>& file, std::uint64_t session, int& answered,
                       const std::vector<std::string>& names = {}, LeaseTime now = {}) {
    Recalls recalls;
    recalls.add(file, file->leased_handle(), change(*file, session), names);
    recalls.send(now, [&answered] { ++answered; });
  }

  LeaseGate gate_;
  std::vector<LeaseHolderRef> holders_;
  std::map<const Inode*, ChangeStamp> stamps_;
};

// --- Held ---------------------------------------------------------------------------------------

TEST_F(Leases, AreHeldUntilAnotherSessionChangesTheFile) {
  auto file = this->file();
  const Holder one = holder(1), two = holder(2);
  EXPECT_FALSE(file->is_leased());
  EXPECT_TRUE(lease(file, one));
  EXPECT_TRUE(lease(file, one));  // the same lease
  EXPECT_TRUE(file->is_leased_to(*one));
  EXPECT_FALSE(file->is_leased_to(*two));
  EXPECT_EQ(gate_.held(), 1u);
  EXPECT_THAT(change(*file, 1), IsEmpty());
  EXPECT_TRUE(file->is_leased_to(*one));

  const auto lost = change(*file, 2);
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].holder, one.leases);
  EXPECT_EQ(lost[0].counts.foreign, 1u);  // one of two changes
  EXPECT_FALSE(file->is_leased_to(*one));
}

TEST_F(Leases, AFailedChangeEndsNone) {
  auto file = this->file();
  const Holder one = holder(1);
  (void)change(*file, 2);
  EXPECT_TRUE(lease(file, one));
  EXPECT_THAT(change(*file, 2, /*changed=*/false), IsEmpty());
  EXPECT_TRUE(file->is_leased_to(*one));
}

TEST_F(Leases, AFailedChangeThatLeftATraceEndsThem) {
  auto file = this->file();
  const Holder one = holder(1);
  EXPECT_TRUE(lease(file, one));
  ChangeStamp stamp;
  const auto look = [&stamp] {
    return stamp;
  };
  file->begin_change(look);
  stamp.size = 7;
  std::vector<LostLease> lost;
  file->end_change(2, /*changed=*/false, look, lost);
  EXPECT_EQ(lost.size(), 1u);
}

TEST_F(Leases, AllOthersLoseTheirs) {
  auto file = this->file();
  const Holder one = holder(1), two = holder(2), three = holder(3);
  for (const Holder& holder : {one, two, three}) EXPECT_TRUE(lease(file, holder));
  EXPECT_EQ(change(*file, 2).size(), 2u);
  EXPECT_FALSE(file->is_leased_to(*one));
  EXPECT_TRUE(file->is_leased_to(*two));
  EXPECT_FALSE(file->is_leased_to(*three));
}

TEST_F(Leases, ThereIsNoNewOneWhileTheOldIsRecalled) {
  auto file = this->file();
  const Holder one = holder(1);
  EXPECT_TRUE(lease(file, one));
  EXPECT_EQ(change(*file, 2).size(), 1u);
  EXPECT_EQ(change(*file, 2).size(), 1u);  // he is told of each change
  EXPECT_FALSE(lease(file, one));
  file->lease_returned(*one, one->generation());
  EXPECT_FALSE(lease(file, one));
  file->lease_returned(*one, one->generation());
  EXPECT_FALSE(file->is_leased());
  EXPECT_EQ(gate_.held(), 0u);
  EXPECT_TRUE(lease(file, one));
}

TEST_F(Leases, AReturnOfAnEarlierGenerationTouchesNoNewLease) {
  auto file = this->file();
  const Holder one = holder(1);
  EXPECT_TRUE(lease(file, one));
  const auto lost = change(*file, 2);
  one->returned_all();
  EXPECT_FALSE(file->is_leased_to(*one));
  EXPECT_TRUE(lease(file, one));
  file->lease_returned(*one, lost[0].generation);
  EXPECT_TRUE(file->is_leased_to(*one));
  EXPECT_EQ(gate_.held(), 1u);
}

TEST_F(Leases, WithoutAHandleThereIsNone) {
  EXPECT_FALSE(file()->lease_to(*holder(1), {}));
}

TEST_F(Leases, HoldersAreToldTheHandleThatTheyKnow) {
  auto file = this->file();
  const Holder one = holder(1), two = holder(2);
  EXPECT_TRUE(lease(file, one));
  EXPECT_FALSE(file->lease_to(*two, view(kOther)));
  EXPECT_FALSE(file->lease_to(*one, view(kOther)));
  EXPECT_EQ(file->leased_handle(), kHandle);
  one->returned_all();
  EXPECT_TRUE(file->lease_to(*two, view(kOther)));
  EXPECT_EQ(file->leased_handle(), kOther);
}

TEST_F(Leases, OnlyAReadySessionGetsThem) {
  auto file = this->file();
  const Holder one = holder(1);
  one->set_ready(false);
  EXPECT_FALSE(lease(file, one));
  one->set_ready(true);
  EXPECT_TRUE(lease(file, one));
  one->set_ready(false);
  EXPECT_TRUE(file->is_leased_to(*one));  // what it has stays
  EXPECT_FALSE(lease(file, one));
  EXPECT_EQ(change(*file, 2).size(), 1u);
  one->end();
  one->set_ready(true);
  EXPECT_FALSE(lease(file, one));
}

// --- The gate -----------------------------------------------------------------------------------

TEST(LeaseGateTest, IsClosedUntilOpenedAndForATime) {
  LeaseGate gate;
  EXPECT_FALSE(gate.gives_leases());
  gate.close_for(0ms);
  EXPECT_FALSE(gate.gives_leases());
  gate.open();
  EXPECT_TRUE(gate.gives_leases());
  gate.close_for(1h);
  EXPECT_FALSE(gate.gives_leases());
  gate.close_for(0ms);
  EXPECT_TRUE(gate.gives_leases());
}

TEST_F(Leases, NoneAreGivenWhileTheGateIsClosed) {
  auto file = this->file();
  const Holder one = holder(1);
  gate_.close_for(1h);
  EXPECT_FALSE(lease(file, one));
  EXPECT_EQ(gate_.held(), 0u);
}

TEST_F(Leases, AreLimited) {
  auto file = this->file();
  const Holder one = holder(1), two = holder(2);
  EXPECT_TRUE(lease(file, one));
  const std::size_t room = LeaseGate::kMaxLeases - 1;
  for (std::size_t i = 0; i < room; ++i) ASSERT_TRUE(gate_.take_room());
  EXPECT_FALSE(lease(file, two));
  EXPECT_TRUE(lease(file, one));  // it has one
  EXPECT_EQ(gate_.held(), LeaseGate::kMaxLeases);
  gate_.give_back_room(room);
  EXPECT_TRUE(lease(file, two));
}

// Whether anybody looks at their files or not.
TEST_F(Leases, MakeRoomWhenTheyAreVoid) {
  std::vector<std::shared_ptr<Inode>> files;
  const Holder one = holder(1), two = holder(2), three = holder(3);
  for (int i = 0; i < 10; ++i) {
    files.push_back(file());
    for (const Holder& holder : {one, two, three}) EXPECT_TRUE(lease(files.back(), holder));
  }
  EXPECT_EQ(gate_.held(), 30u);
  one->returned_all();
  EXPECT_EQ(gate_.held(), 20u);
  two->revoke_all();
  EXPECT_EQ(gate_.held(), 10u);
  EXPECT_TRUE(lease(files[0], one));
  EXPECT_EQ(gate_.held(), 11u);
  files.erase(files.begin());  // with it the leases of one and three
  EXPECT_EQ(gate_.held(), 9u);
  three->end();
  EXPECT_EQ(gate_.held(), 0u);
  files.clear();
  EXPECT_EQ(gate_.held(), 0u);
}

// --- Directories --------------------------------------------------------------------------------

TEST_F(Leases, OfADirectoryStayWhenTheyAreReturned) {
  auto directory = file();
  directory->keep_returned_leases();
  const Holder one = holder(1);
  EXPECT_TRUE(lease(directory, one));
  int first = 0, second = 0;
  change_and_tell(directory, 2, first, {"a"});
  EXPECT_FALSE(lease(directory, one));
  one->returned(one.client->recalls[0]);
  EXPECT_EQ(first, 1);
  EXPECT_TRUE(directory->is_leased_to(*one));
  EXPECT_EQ(gate_.held(), 1u);
  change_and_tell(directory, 2, second, {"b"});
  ASSERT_EQ(one.client->recalls.size(), 2u);
  EXPECT_THAT(one.client->last[0].names, ElementsAre("b"));
  one->returned(one.client->recalls[1]);
  EXPECT_EQ(second, 1);
  one->given_up(view(kHandle));
  EXPECT_FALSE(directory->is_leased());
  EXPECT_EQ(gate_.held(), 0u);
}

// --- Given up -----------------------------------------------------------------------------------

TEST_F(Leases, AreGivenUpByHandle) {
  auto file = this->file(), other = this->file();
  const Holder one = holder(1), two = holder(2);
  EXPECT_TRUE(lease(file, one));
  EXPECT_TRUE(lease(file, two));
  EXPECT_TRUE(other->lease_to(*one, view(kOther)));
  one->given_up(view(kHandle));
  one->given_up(view(kHandle));
  one->given_up({});
  EXPECT_FALSE(file->is_leased_to(*one));
  EXPECT_TRUE(file->is_leased_to(*two));
  EXPECT_TRUE(other->is_leased_to(*one));
  EXPECT_EQ(gate_.held(), 2u);
  EXPECT_TRUE(lease(file, one));
  one->returned_all();
  one->given_up(view(kHandle));
  EXPECT_EQ(gate_.held(), 1u);
  EXPECT_TRUE(lease(file, one));
  file.reset();
  one->given_up(view(kHandle));
  EXPECT_EQ(gate_.held(), 0u);
}

TEST_F(Leases, WhatIsRecalledIsNotGivenUp) {
  auto file = this->file();
  const Holder one = holder(1);
  EXPECT_TRUE(lease(file, one));
  int answered = 0;
  change_and_tell(file, 2, answered);
  one->given_up(view(kHandle));
  EXPECT_EQ(answered, 0);
  EXPECT_FALSE(lease(file, one));
  one->returned(one.client->recalls[0]);
  EXPECT_EQ(answered, 1);
  EXPECT_TRUE(lease(file, one));
}

// --- Recalls ------------------------------------------------------------------------------------

TEST_F(Leases, AChangeThatEndsNoneIsAnsweredAtOnce) {
  auto file = this->file();
  int answered = 0;
  change_and_tell(file, 2, answered);
  EXPECT_EQ(answered, 1);
}

TEST_F(Leases, TheChangeIsAnsweredWhenTheyAreBack) {
  auto file = this->file();
  const Holder one = holder(1);
  EXPECT_TRUE(lease(file, one));
  int answered = 0;
  change_and_tell(file, 2, answered, {"name"});
  EXPECT_EQ(answered, 0);
  ASSERT_EQ(one.client->recalls.size(), 1u);
  ASSERT_EQ(one.client->last.size(), 1u);
  EXPECT_EQ(one.client->last[0].handle, kHandle);
  EXPECT_THAT(one.client->last[0].names, ElementsAre("name"));
  EXPECT_EQ(one.client->last[0].counts.foreign, 1u);
  EXPECT_EQ(one.client->last[0].counts.epoch, 1u);

  const std::uint64_t recall = one.client->recalls[0];
  EXPECT_NE(recall, 0u);
  one->returned(recall + 1);  // nobody knows this one
  one->returned(0);
  EXPECT_EQ(answered, 0);
  one->returned(recall);
  EXPECT_EQ(answered, 1);
  one->returned(recall);
  EXPECT_EQ(answered, 1);
  EXPECT_TRUE(lease(file, one));
}

TEST_F(Leases, OneMessageForEachHolder) {
  auto file = this->file(), directory = this->file(), other = this->file();
  const Holder one = holder(1), two = holder(2);
  EXPECT_TRUE(lease(file, one));
  EXPECT_TRUE(directory->lease_to(*one, view(kOther)));
  EXPECT_TRUE(directory->lease_to(*two, view(kOther)));
  EXPECT_TRUE(lease(other, two));
  Recalls recalls;
  EXPECT_TRUE(recalls.empty());
  recalls.add(file, file->leased_handle(), change(*file, 3), {});
  recalls.add(directory, directory->leased_handle(), change(*directory, 3), {"a", "b"});
  EXPECT_FALSE(recalls.empty());
  int answered = 0;
  recalls.send({}, [&] { ++answered; });
  ASSERT_EQ(one.client->recalls.size(), 1u);
  ASSERT_EQ(one.client->last.size(), 2u);
  EXPECT_EQ(one.client->last[0].handle, kHandle);
  EXPECT_THAT(one.client->last[0].names, IsEmpty());
  EXPECT_EQ(one.client->last[1].handle, kOther);
  EXPECT_THAT(one.client->last[1].names, ElementsAre("a", "b"));
  ASSERT_EQ(two.client->recalls.size(), 1u);
  ASSERT_EQ(two.client->last.size(), 1u);
  EXPECT_EQ(two.client->last[0].handle, kOther);

  two->returned(two.client->recalls[0]);
  EXPECT_EQ(answered, 0);
  one->returned(one.client->recalls[0]);
  EXPECT_EQ(answered, 1);
  EXPECT_FALSE(file->is_leased());
  EXPECT_FALSE(directory->is_leased());
  EXPECT_TRUE(other->is_leased_to(*two));
}

// As a WRITE that first takes the set-id bits away.
TEST_F(Leases, ACallMayChangeAFileTwice) {
  auto file = this->file();
  const Holder one = holder(1);
  EXPECT_TRUE(lease(file, one));
  Recalls recalls;
  for (int i = 0; i < 2; ++i) recalls.add(file, file->leased_handle(), change(*file, 2), {});
  int answered = 0;
  recalls.send({}, [&] { ++answered; });
  ASSERT_EQ(one.client->recalls.size(), 1u);
  EXPECT_EQ(one.client->last.back().counts.foreign, 2u);
  one->returned(one.client->recalls[0]);
  EXPECT_EQ(answered, 1);
  EXPECT_FALSE(file->is_leased());
}

TEST_F(Leases, TwoRecallsAtOnceAreAnsweredInAnyOrder) {
  auto file = this->file();
  const Holder one = holder(1);
  EXPECT_TRUE(lease(file, one));
  int first = 0, second = 0;
  change_and_tell(file, 2, first);
  change_and_tell(file, 3, second);
  ASSERT_EQ(one.client->recalls.size(), 2u);
  EXPECT_NE(one.client->recalls[0], one.client->recalls[1]);
  one->returned(one.client->recalls[1]);
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
  EXPECT_FALSE(lease(file, one));
  one->returned(one.client->recalls[0]);
  EXPECT_EQ(first, 1);
  EXPECT_TRUE(lease(file, one));
}

TEST_F(Leases, ReturningEverythingAnswersEveryRecall) {
  auto file = this->file();
  const Holder one = holder(1);
  EXPECT_TRUE(lease(file, one));
  int first = 0, second = 0;
  change_and_tell(file, 2, first);
  change_and_tell(file, 3, second);
  one->returned_all();
  EXPECT_EQ(first + second, 2);
  EXPECT_EQ(one.client->told_all, 0);
  EXPECT_TRUE(lease(file, one));
}

TEST_F(Leases, NobodyWaitsForASessionThatHasEnded) {
  auto file = this->file();
  const Holder before = holder(1), meanwhile = holder(2), after = holder(3);
  for (const Holder& holder : {before, meanwhile, after}) EXPECT_TRUE(lease(file, holder));
  before->end();
  Recalls recalls;
  recalls.add(file, file->leased_handle(), change(*file, 4), {});
  meanwhile->end();
  int answered = 0;
  recalls.send({}, [&] { ++answered; });
  EXPECT_THAT(before.client->recalls, IsEmpty());
  EXPECT_THAT(meanwhile.client->recalls, IsEmpty());
  EXPECT_EQ(answered, 0);
  after->end();
  EXPECT_EQ(answered, 1);
  EXPECT_FALSE(file->is_leased());
}

TEST_F(Leases, AClientThatCannotBeToldIsWaitedFor) {
  auto file = this->file();
  Holder one = holder(1);
  EXPECT_TRUE(lease(file, one));
  one.client.reset();
  int answered = 0;
  change_and_tell(file, 2, answered);
  EXPECT_EQ(answered, 0);
  EXPECT_TRUE(one->revoke_overdue(LeaseTime() + 1s));
  EXPECT_EQ(answered, 1);
}

TEST_F(Leases, RevokingMakesAllVoidAndSaysSoToThoseThatHaveSome) {
  auto file = this->file(), other = this->file();
  const Holder one = holder(1), two = holder(2);
  EXPECT_TRUE(lease(file, one));
  EXPECT_TRUE(lease(other, one));
  int answered = 0;
  change_and_tell(file, 2, answered);
  one->revoke_all();
  two->revoke_all();
  EXPECT_EQ(answered, 1);
  EXPECT_EQ(one.client->told_all, 1);
  EXPECT_EQ(two.client->told_all, 0);
  EXPECT_FALSE(file->is_leased());
  EXPECT_FALSE(other->is_leased());
  one->revoke_all();
  EXPECT_EQ(one.client->told_all, 1);
  EXPECT_TRUE(lease(file, one));
  one->revoke_all();
  EXPECT_EQ(one.client->told_all, 2);
}

TEST_F(Leases, OnlyWhoIsOverdueIsRevoked) {
  auto file = this->file();
  const Holder one = holder(1), two = holder(2);
  EXPECT_TRUE(lease(file, one));
  EXPECT_TRUE(lease(file, two));
  const LeaseTime begin = LeaseTime() + 1h;
  int answered = 0;
  change_and_tell(file, 3, answered, {}, begin);
  two->returned(two.client->recalls[0]);
  EXPECT_TRUE(lease(file, two));
  EXPECT_FALSE(one->revoke_overdue(begin));
  EXPECT_TRUE(one->revoke_overdue(begin + 1ms));
  EXPECT_FALSE(two->revoke_overdue(begin + 1ms));
  EXPECT_EQ(answered, 1);
  EXPECT_EQ(one.client->told_all, 1);
  EXPECT_FALSE(one->revoke_overdue(begin + 1ms));
  EXPECT_TRUE(file->is_leased_to(*two));
  one->returned(one.client->recalls[0]);  // too late
  EXPECT_EQ(answered, 1);
  // It would hold others up again.
  EXPECT_FALSE(lease(file, one));
  one->returned_all();
  EXPECT_FALSE(lease(file, one));
}

// --- Sessions -----------------------------------------------------------------------------------

TEST_F(Leases, NobodyWaitsForASessionThatWasGivenUpForAnother) {
  Export share;
  share.leases->open();
  auto file = this->file();
  SessionTable table(1);
  class Sink final : public ReplySink {
    void deliver(Outgoing) override {}
    void fence() override {}
  };
  {
    auto session = table.begin(share, false, /*wants_leases=*/true, 1).value();
    auto sink = std::make_shared<Sink>();
    EXPECT_TRUE(session->attach(sink));
    EXPECT_TRUE(file->lease_to(session->leases(), view(kHandle)));
    session->detach(sink.get(), {});
  }
  int first = 0, second = 0;
  change_and_tell(file, 100, first);
  EXPECT_EQ(first, 0);
  EXPECT_TRUE(table.begin(share, false, true, 1));
  EXPECT_EQ(first, 1);
  change_and_tell(file, 100, second);
  EXPECT_EQ(second, 1);
}

// --- Records ------------------------------------------------------------------------------------

FileId id_of(std::uint64_t number) {
  return {1, number, 0};
}

TEST_F(Leases, RecordsOfLeasedFilesStayInTheTable) {
  constexpr std::uint64_t kCapacity = 64, kLeased = 500, kMore = 5000;
  InodeTable table(kCapacity);
  const Holder one = holder(1);
  std::vector<std::weak_ptr<Inode>> leased;
  for (std::uint64_t i = 0; i < kLeased; ++i) {
    auto inode = table.get(id_of(i));
    EXPECT_TRUE(lease(inode, one));
    leased.push_back(inode);
  }
  for (std::uint64_t i = kLeased; i < kMore; ++i) (void)table.get(id_of(i));
  for (std::uint64_t i = 0; i < kLeased; ++i) {
    ASSERT_FALSE(leased[i].expired());
    EXPECT_TRUE(table.get(id_of(i))->is_leased_to(*one));
  }
  EXPECT_LE(table.size(), kLeased + kCapacity);
  EXPECT_EQ(gate_.held(), kLeased);

  one->returned_all();
  for (std::uint64_t i = kMore; i < 2 * kMore; ++i) (void)table.get(id_of(i));
  EXPECT_LE(table.size(), kCapacity);
}

// --- Threads ------------------------------------------------------------------------------------

// Every change is answered once, whoever returns, revokes or ends meanwhile.
TEST_F(Leases, EveryChangeIsAnsweredWhateverHappensMeanwhile) {
  constexpr int kRounds = 3000;
  auto file = this->file();
  class Returning final : public LeaseListener {
   public:
    void leases_recalled(std::uint64_t recall, const std::vector<RecalledLease>&) override {
      if (auto to = holder.lock()) to->returned(recall);
    }
    void all_leases_recalled() override {}
    std::weak_ptr<LeaseHolder> holder;
  };
  auto client = std::make_shared<Returning>();
  auto one = std::make_shared<LeaseHolder>(1, gate_);
  holders_.push_back(one);
  client->holder = one;
  one->listen(client);
  one->set_ready(true);
  const Holder silent = holder(2);
  std::atomic<int> answered = 0;

  std::thread changer([&] {
    for (int i = 0; i < kRounds; ++i) {
      Recalls recalls;
      recalls.add(file, kHandle, change(*file, 9), {});
      recalls.send(std::chrono::steady_clock::now(), [&] { ++answered; });
    }
  });
  std::thread reader([&] {
    for (int i = 0; i < kRounds; ++i) {
      (void)file->lease_to(*one, view(kHandle));
      (void)file->lease_to(*silent, view(kHandle));
    }
  });
  std::thread revoker([&] {
    for (int i = 0; i < kRounds; ++i) {
      one->revoke_all();
      silent->returned_all();
      (void)silent->revoke_overdue(std::chrono::steady_clock::now());
    }
  });
  changer.join();
  reader.join();
  revoker.join();
  silent->end();
  EXPECT_EQ(answered, kRounds);
  one->end();
  EXPECT_FALSE(file->is_leased());
  EXPECT_EQ(gate_.held(), 0u);
}

}  // namespace
}  // namespace foliofs::server
