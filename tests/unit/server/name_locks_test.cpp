// Which changes of names wait for each other.
#include "server/name_locks.h"

#include <gtest/gtest.h>

#include <list>
#include <string>
#include <thread>

namespace foliofs::server {
namespace {

constexpr FileId kDirectory{1, 2, 3};

class NameLocksTest : public ::testing::Test {
 protected:
  Name name(const std::string& text) {
    flatbuffers::FlatBufferBuilder& builder = builders_.emplace_back(256);
    const auto bytes = builder.CreateString(text);
    return Name::check(flatbuffers::GetTemporaryPointer(builder, bytes)).value();
  }
  // Whether another thread could take the lock of `one` without waiting.
  bool is_free(Name one) {
    bool free = false;
    std::thread([&] { free = bool(locks_.hold(Waiting::kNever, kDirectory, one)); }).join();
    return free;
  }
  Result<NameLocks::Held> hold(Name one) { return locks_.hold(Waiting::kAllowed, kDirectory, one); }
  Result<NameLocks::Held> hold(Name one, Name another) {
    return locks_.hold(Waiting::kAllowed, kDirectory, one, kDirectory, another);
  }
  // A name that does not share its lock with `one`.
  Name apart_from(Name one) {
    const auto held = hold(one);
    for (int i = 0;; ++i) {
      const Name other = name("other-" + std::to_string(i));
      if (is_free(other)) return other;
    }
  }

  std::list<flatbuffers::FlatBufferBuilder> builders_;  // the names' bytes
  NameLocks locks_;
  const Name one_ = name("one");
  const Name other_ = apart_from(one_);
};

TEST_F(NameLocksTest, OneChangesANameAtATime) {
  {
    const auto held = hold(one_);
    ASSERT_TRUE(held);
    EXPECT_FALSE(is_free(one_));
    EXPECT_TRUE(is_free(other_));
  }
  EXPECT_TRUE(is_free(one_));
}

TEST_F(NameLocksTest, ARenameHasBothNames) {
  {
    const auto held = hold(one_, other_);
    ASSERT_TRUE(held);
    EXPECT_FALSE(is_free(one_));
    EXPECT_FALSE(is_free(other_));
  }
  EXPECT_TRUE(is_free(one_));
  EXPECT_TRUE(is_free(other_));
}

TEST_F(NameLocksTest, ARenameToTheSameNameHasItOnce) {
  EXPECT_TRUE(hold(one_, one_));
  EXPECT_TRUE(is_free(one_));
}

TEST_F(NameLocksTest, WhoMayNotHaveBothNamesHasNone) {
  for (const Name& taken : {one_, other_}) {
    const auto held = hold(taken);
    std::thread([&] {
      const auto both = locks_.hold(Waiting::kNever, kDirectory, one_, kDirectory, other_);
      EXPECT_TRUE(!both && both.error() == Errno(EAGAIN));
    }).join();
    EXPECT_EQ(is_free(one_), taken.c_str() != one_.c_str());
    EXPECT_EQ(is_free(other_), taken.c_str() != other_.c_str());
  }
}

TEST_F(NameLocksTest, RenamesInOppositeDirectionsDoNotWaitForEachOther) {
  constexpr int kTimes = 10'000;
  std::thread back([&] {
    for (int i = 0; i < kTimes; ++i) EXPECT_TRUE(hold(other_, one_));
  });
  for (int i = 0; i < kTimes; ++i) EXPECT_TRUE(hold(one_, other_));
  back.join();
}

}  // namespace
}  // namespace foliofs::server
