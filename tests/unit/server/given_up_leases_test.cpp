// Leases that a client gives up without a recall, because it no longer uses the file.
#include <gtest/gtest.h>

#include "server/inode_table.h"

namespace foliofs::server {
namespace {

HandleView view(const Handle& handle) {
  return {handle.data(), handle.size()};
}

class GivenUpLeases : public ::testing::Test {
 protected:
  GivenUpLeases() {
    gate_.open();
    holder_->set_ready(true);
    other_->set_ready(true);
  }
  ~GivenUpLeases() override {
    holder_->end();
    other_->end();
  }
  // The leases that a change by `session` ends.
  static std::vector<LostLease> change(Inode& file, std::uint64_t session) {
    const auto look = [] {
      return ChangeStamp{};
    };
    std::vector<LostLease> lost;
    file.begin_change(look);
    file.end_change(session, true, look, lost);
    return lost;
  }

  const Handle handle_{1, 2, 3};
  LeaseGate gate_;
  LeaseHolderRef holder_ = std::make_shared<LeaseHolder>(1, gate_);
  LeaseHolderRef other_ = std::make_shared<LeaseHolder>(2, gate_);
  std::shared_ptr<Inode> file_ = std::make_shared<Inode>(1);
};

TEST_F(GivenUpLeases, AreHeldNoMoreAndMakeRoom) {
  ASSERT_TRUE(file_->lease_to(*holder_, view(handle_)));
  ASSERT_TRUE(file_->lease_to(*other_, view(handle_)));
  holder_->given_up(view(handle_));
  EXPECT_FALSE(file_->is_leased_to(*holder_));
  EXPECT_TRUE(file_->is_leased_to(*other_));
  EXPECT_EQ(gate_.held(), 1u);
  EXPECT_TRUE(change(*file_, 2).empty()) << "nobody is to be asked";
  EXPECT_TRUE(file_->lease_to(*holder_, view(handle_))) << "it can be had again";
}

TEST_F(GivenUpLeases, WhatIsNoneIsIgnored) {
  ASSERT_TRUE(file_->lease_to(*other_, view(handle_)));
  holder_->given_up(view(handle_));
  other_->given_up(view({9, 9}));
  other_->given_up({});
  EXPECT_TRUE(file_->is_leased_to(*other_));
  EXPECT_EQ(gate_.held(), 1u);
}

TEST_F(GivenUpLeases, OneThatIsAskedBackIsReturnedByThat) {
  ASSERT_TRUE(file_->lease_to(*holder_, view(handle_)));
  ASSERT_EQ(change(*file_, 2).size(), 1u);
  holder_->given_up(view(handle_));
  EXPECT_FALSE(file_->lease_to(*holder_, view(handle_))) << "the recall is unanswered";
  file_->lease_returned(*holder_, holder_->generation());
  EXPECT_EQ(gate_.held(), 0u);
}

TEST_F(GivenUpLeases, OfAFileThatIsGoneNothingIsLeft) {
  ASSERT_TRUE(file_->lease_to(*holder_, view(handle_)));
  file_.reset();
  holder_->given_up(view(handle_));
  EXPECT_EQ(gate_.held(), 0u);
}

TEST_F(GivenUpLeases, VoidOnesStayVoid) {
  ASSERT_TRUE(file_->lease_to(*holder_, view(handle_)));
  holder_->returned_all();
  holder_->given_up(view(handle_));
  EXPECT_EQ(gate_.held(), 0u);
  EXPECT_TRUE(file_->lease_to(*holder_, view(handle_)));
}

}  // namespace
}  // namespace foliofs::server
