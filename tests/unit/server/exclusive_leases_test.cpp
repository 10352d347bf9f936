// Exclusive leases without a server: which sessions they keep from a file, and until when.
#include <thread>

#include "tests/unit/server/leases_fixture.h"

namespace foliofs::server {
namespace {

using ::testing::IsEmpty;
using namespace std::chrono_literals;

class ExclusiveLeases : public LeasesTest {
 protected:
  // A file of which the holder has an exclusive lease.
  std::shared_ptr<Inode> made_by(const Holder& holder) {
    auto file = this->file();
    EXPECT_TRUE(lease(file, holder));
    EXPECT_TRUE(file->make_exclusive(*holder));
    return file;
  }
  static std::vector<LostLease> look(Inode& file, std::uint64_t session) {
    std::vector<LostLease> lost;
    file.take_exclusive(session, lost);
    return lost;
  }
  // The same, and recalls the lease. Increments `answered` when the session may look.
  static void look_and_tell(const std::shared_ptr<Inode>& file, std::uint64_t session,
                            int& answered, SteadyTime now = {}) {
    Recalls recalls;
    recalls.add(file, file->leased_handle(), look(*file, session), {});
    recalls.send(now, [&answered] { ++answered; });
  }
};

// --- Who gets one -------------------------------------------------------------------------------

TEST_F(ExclusiveLeases, KeepOthersFromTheFile) {
  const Holder one = holder(1);
  auto file = this->file();
  EXPECT_TRUE(lease(file, one));
  EXPECT_FALSE(file->is_kept_from(2));
  EXPECT_TRUE(file->make_exclusive(*one));
  EXPECT_TRUE(file->is_kept_from(2));
  EXPECT_FALSE(file->is_kept_from(1));
  EXPECT_TRUE(file->is_leased_to(*one));
}

TEST_F(ExclusiveLeases, AreNotHadWithoutALease) {
  const Holder one = holder(1), two = holder(2);
  auto file = this->file();
  EXPECT_FALSE(file->make_exclusive(*one));
  EXPECT_TRUE(lease(file, two));
  EXPECT_FALSE(file->make_exclusive(*one));
  EXPECT_FALSE(file->is_kept_from(3));
}

TEST_F(ExclusiveLeases, AreNotHadBesideALeaseOfAnother) {
  const Holder one = holder(1), two = holder(2);
  auto file = this->file();
  EXPECT_TRUE(lease(file, one));
  EXPECT_TRUE(lease(file, two));
  for (const Holder& holder : {one, two}) EXPECT_FALSE(file->make_exclusive(*holder));
  EXPECT_FALSE(file->is_kept_from(3));
  two->returned_all();
  EXPECT_TRUE(file->make_exclusive(*one));
  EXPECT_TRUE(file->is_kept_from(2));
}

TEST_F(ExclusiveLeases, AreNotHadWhileTheLeaseIsRecalled) {
  const Holder one = holder(1);
  auto file = this->file();
  EXPECT_TRUE(lease(file, one));
  EXPECT_EQ(change(*file, 2).size(), 1u);
  EXPECT_FALSE(file->make_exclusive(*one));
  EXPECT_FALSE(file->is_kept_from(2));
}

TEST_F(ExclusiveLeases, AreNotHadOfAVoidLease) {
  const Holder one = holder(1);
  auto file = this->file();
  EXPECT_TRUE(lease(file, one));
  one->revoke_all();
  EXPECT_FALSE(file->make_exclusive(*one));
}

TEST_F(ExclusiveLeases, NobodyElseGetsALeaseMeanwhile) {
  const Holder one = holder(1), two = holder(2);
  auto file = made_by(one);
  EXPECT_FALSE(lease(file, two));
  one->returned_all();
  EXPECT_TRUE(lease(file, two));
}

// --- Who waits ----------------------------------------------------------------------------------

TEST_F(ExclusiveLeases, WhoLooksAsksForThem) {
  const Holder one = holder(1);
  auto file = made_by(one);
  (void)change(*file, 1);
  EXPECT_THAT(look(*file, 1), IsEmpty());
  const auto lost = look(*file, 2);
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].holder, one.leases);
  EXPECT_EQ(lost[0].generation, one->generation());
  EXPECT_EQ(lost[0].counts.foreign, 0u);  // looking is not a change
  EXPECT_EQ(lost[0].counts.epoch, 1u);
  EXPECT_FALSE(file->is_leased_to(*one));
  EXPECT_TRUE(file->is_kept_from(2));
}

TEST_F(ExclusiveLeases, NobodyAsksForALeaseLikeOthers) {
  const Holder one = holder(1);
  auto file = this->file();
  EXPECT_TRUE(lease(file, one));
  EXPECT_THAT(look(*file, 2), IsEmpty());
  EXPECT_TRUE(file->is_leased_to(*one));
}

TEST_F(ExclusiveLeases, WhoLooksMayDoSoWhenTheyAreReturned) {
  const Holder one = holder(1);
  auto file = made_by(one);
  int answered = 0;
  look_and_tell(file, 2, answered);
  EXPECT_EQ(answered, 0);
  ASSERT_EQ(one.client->recalls.size(), 1u);
  ASSERT_EQ(one.client->last.size(), 1u);
  EXPECT_EQ(one.client->last[0].handle, kHandle);
  EXPECT_THAT(one.client->last[0].names, IsEmpty());
  one->returned(one.client->recalls[0]);
  EXPECT_EQ(answered, 1);
  EXPECT_FALSE(file->is_leased());
  EXPECT_EQ(gate_.held(), 0u);
}

// By the first return, the holder has sent all that it had kept.
TEST_F(ExclusiveLeases, TheFirstReturnEndsThem) {
  const Holder one = holder(1);
  auto file = made_by(one);
  int first = 0, second = 0, third = 0;
  look_and_tell(file, 2, first);
  look_and_tell(file, 3, second);
  ASSERT_EQ(one.client->recalls.size(), 2u);
  one->returned(one.client->recalls[1]);
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
  EXPECT_FALSE(file->is_kept_from(4));
  look_and_tell(file, 4, third);
  EXPECT_EQ(third, 1);
  EXPECT_FALSE(lease(file, one));
  one->returned(one.client->recalls[0]);
  EXPECT_EQ(first, 1);
  EXPECT_TRUE(lease(file, one));
  EXPECT_FALSE(file->is_kept_from(2));
}

TEST_F(ExclusiveLeases, WhoChangesTheFileDoesNotEndThemBeforeTheReturn) {
  const Holder one = holder(1);
  auto file = made_by(one);
  int changed = 0;
  change_and_tell(file, 2, changed);
  EXPECT_EQ(changed, 0);
  EXPECT_TRUE(file->is_kept_from(3));
  ASSERT_EQ(one.client->recalls.size(), 1u);
  one->returned(one.client->recalls[0]);
  EXPECT_EQ(changed, 1);
  EXPECT_FALSE(file->is_kept_from(3));
}

// --- How they end -------------------------------------------------------------------------------

TEST_F(ExclusiveLeases, OwnChangesDoNotEndThem) {
  const Holder one = holder(1);
  auto file = made_by(one);
  EXPECT_THAT(change(*file, 1), IsEmpty());
  EXPECT_TRUE(lease(file, one));  // the same lease
  EXPECT_TRUE(file->is_kept_from(2));
}

TEST_F(ExclusiveLeases, AreLikeOthersWhenTheirHolderEndsThem) {
  const Holder one = holder(1), two = holder(2);
  auto file = made_by(one);
  file->end_exclusive(*two);
  EXPECT_TRUE(file->is_kept_from(2));
  file->end_exclusive(*one);
  EXPECT_FALSE(file->is_kept_from(2));
  EXPECT_THAT(look(*file, 2), IsEmpty());
  EXPECT_TRUE(file->is_leased_to(*one));
  EXPECT_TRUE(lease(file, two));
  EXPECT_EQ(change(*file, 3).size(), 2u);
}

TEST_F(ExclusiveLeases, AreGivenUp) {
  const Holder one = holder(1);
  auto file = made_by(one);
  one->given_up(view(kHandle));
  EXPECT_FALSE(file->is_kept_from(2));
  EXPECT_FALSE(file->is_leased());
  EXPECT_EQ(gate_.held(), 0u);
}

TEST_F(ExclusiveLeases, NobodyWaitsForVoidOnes) {
  const Holder returned = holder(1), revoked = holder(2), ended = holder(3);
  const std::vector<std::shared_ptr<Inode>> files{made_by(returned), made_by(revoked),
                                                  made_by(ended)};
  int answered = 0;
  for (const auto& file : files) look_and_tell(file, 4, answered);
  EXPECT_EQ(answered, 0);
  returned->returned_all();
  EXPECT_EQ(answered, 1);
  revoked->revoke_all();
  EXPECT_EQ(answered, 2);
  ended->end();
  EXPECT_EQ(answered, 3);
  for (const auto& file : files) {
    EXPECT_FALSE(file->is_kept_from(4));
    EXPECT_THAT(look(*file, 4), IsEmpty());
  }
}

TEST_F(ExclusiveLeases, NobodyWaitsForWhoIsOverdue) {
  const Holder one = holder(1);
  auto file = made_by(one);
  const SteadyTime begin = SteadyTime() + 1h;
  int answered = 0;
  look_and_tell(file, 2, answered, begin);
  EXPECT_FALSE(one->revoke_overdue(begin));
  EXPECT_TRUE(file->is_kept_from(2));
  EXPECT_TRUE(one->revoke_overdue(begin + 1ms));
  EXPECT_EQ(answered, 1);
  EXPECT_EQ(one.client->told_all, 1);
  EXPECT_FALSE(file->is_kept_from(2));
}

TEST_F(ExclusiveLeases, AReturnOfAnEarlierGenerationDoesNotEndThem) {
  const Holder one = holder(1);
  auto file = made_by(one);
  const auto lost = look(*file, 2);
  ASSERT_EQ(lost.size(), 1u);
  one->returned_all();
  EXPECT_TRUE(lease(file, one));
  EXPECT_TRUE(file->make_exclusive(*one));
  file->lease_returned(*one, lost[0].generation);
  EXPECT_TRUE(file->is_kept_from(2));
}

// --- Threads ------------------------------------------------------------------------------------

// Every waiting session is answered once, and none is kept from the file for good.
TEST_F(ExclusiveLeases, EveryLookIsAnsweredWhateverHappensMeanwhile) {
  constexpr int kRounds = 20'000;
  const Holder one = holder(1);
  class Returning final : public LeaseListener {
   public:
    void leases_recalled(std::uint64_t recall, const std::vector<RecalledLease>&) override {
      if (auto to = holder.lock()) to->returned(recall);
    }
    void all_leases_recalled() override {}
    std::weak_ptr<LeaseHolder> holder;
  };
  auto client = std::make_shared<Returning>();
  client->holder = one.leases;
  one->listen(client);
  auto file = this->file();
  std::atomic<int> answered = 0;
  const auto look_often = [&](std::uint64_t session) {
    for (int i = 0; i < kRounds; ++i) {
      Recalls recalls;
      recalls.add(file, kHandle, look(*file, session), {});
      recalls.send(std::chrono::steady_clock::now(), [&] { ++answered; });
    }
  };

  std::thread maker([&] {
    for (int i = 0; i < kRounds; ++i) {
      if (lease(file, one)) (void)file->make_exclusive(*one);
      if (i % 16 == 0) file->end_exclusive(*one);
      if (i % 64 == 0) one->revoke_all();
    }
  });
  std::thread second([&] { look_often(2); });
  std::thread third([&] { look_often(3); });
  maker.join();
  second.join();
  third.join();
  EXPECT_EQ(answered, 2 * kRounds);
  one->end();
  EXPECT_FALSE(file->is_kept_from(2));
  EXPECT_FALSE(file->is_leased());
  EXPECT_EQ(gate_.held(), 0u);
}

}  // namespace
}  // namespace foliofs::server
