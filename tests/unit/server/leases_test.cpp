// Leases without a server: which sessions hold one of a file, and which change ends whose lease.
#include "tests/unit/server/leases_fixture.h"

namespace foliofs::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class Leases : public LeasesTest {};

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
  EXPECT_EQ(change(*file, 2).size(), 1u);  // the holder is told of each change
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
  EXPECT_TRUE(file->is_leased_to(*one));  // it keeps the leases that it has
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
  EXPECT_TRUE(lease(file, one));  // it has this lease already
  EXPECT_EQ(gate_.held(), LeaseGate::kMaxLeases);
  gate_.give_back_room(room);
  EXPECT_TRUE(lease(file, two));
}

// They make room even if no call uses their files.
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
  files.erase(files.begin());  // the leases of one and three end with the file
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

}  // namespace
}  // namespace foliofs::server
