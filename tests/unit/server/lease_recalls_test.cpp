// Lease recalls without a server: which holders are told, and which calls wait for them.
#include <thread>

#include "server/session_table.h"
#include "tests/unit/server/leases_fixture.h"

namespace foliofs::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class LeaseRecalls : public LeasesTest {};

// --- Recalls ------------------------------------------------------------------------------------

TEST_F(LeaseRecalls, AChangeThatEndsNoneIsAnsweredAtOnce) {
  auto file = this->file();
  int answered = 0;
  change_and_tell(file, 2, answered);
  EXPECT_EQ(answered, 1);
}

TEST_F(LeaseRecalls, TheChangeIsAnsweredWhenTheyAreBack) {
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
  one->returned(recall + 1);  // there is no such recall
  one->returned(0);
  EXPECT_EQ(answered, 0);
  one->returned(recall);
  EXPECT_EQ(answered, 1);
  one->returned(recall);
  EXPECT_EQ(answered, 1);
  EXPECT_TRUE(lease(file, one));
}

TEST_F(LeaseRecalls, OneMessageForEachHolder) {
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

// For example, a WRITE first clears the set-id bits.
TEST_F(LeaseRecalls, ACallMayChangeAFileTwice) {
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

TEST_F(LeaseRecalls, TwoRecallsAtOnceAreAnsweredInAnyOrder) {
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

TEST_F(LeaseRecalls, ReturningEverythingAnswersEveryRecall) {
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

TEST_F(LeaseRecalls, NobodyWaitsForASessionThatHasEnded) {
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

TEST_F(LeaseRecalls, AClientThatCannotBeToldIsWaitedFor) {
  auto file = this->file();
  Holder one = holder(1);
  EXPECT_TRUE(lease(file, one));
  one.client.reset();
  int answered = 0;
  change_and_tell(file, 2, answered);
  EXPECT_EQ(answered, 0);
  EXPECT_TRUE(one->revoke_overdue(SteadyTime() + 1s));
  EXPECT_EQ(answered, 1);
}

TEST_F(LeaseRecalls, RevokingMakesAllVoidAndSaysSoToThoseThatHaveSome) {
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

TEST_F(LeaseRecalls, OnlyWhoIsOverdueIsRevoked) {
  auto file = this->file();
  const Holder one = holder(1), two = holder(2);
  EXPECT_TRUE(lease(file, one));
  EXPECT_TRUE(lease(file, two));
  const SteadyTime begin = SteadyTime() + 1h;
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
  // A new lease of the session would hold up other clients' changes again.
  EXPECT_FALSE(lease(file, one));
  one->returned_all();
  EXPECT_FALSE(lease(file, one));
}

// --- Sessions -----------------------------------------------------------------------------------

TEST_F(LeaseRecalls, NobodyWaitsForASessionThatWasGivenUpForAnother) {
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

TEST_F(LeaseRecalls, RecordsOfLeasedFilesStayInTheTable) {
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

// Every change is answered once, even if leases are returned or revoked or sessions end meanwhile.
TEST_F(LeaseRecalls, EveryChangeIsAnsweredWhateverHappensMeanwhile) {
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
