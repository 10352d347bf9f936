#include "src/rpc/slot_table.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "foliofs/base/limits.h"

namespace foliofs::rpc {
namespace {

struct TestCall : Call {
  TestCall() : Call(proto::MessageType::kLookup, {}, Payload{}, 0) {}
};

TEST(SlotTable, HandsOutAllButTheReservedOne) {
  SlotTable slots;
  slots.reset(4);
  TestCall calls[4];
  std::set<std::uint32_t> taken;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(slots.take(calls[i]));
    EXPECT_EQ(calls[i].sequence, 1u);
    taken.insert(calls[i].slot);
  }
  EXPECT_EQ(taken, (std::set<std::uint32_t>{0, 1, 2}));
  EXPECT_FALSE(slots.take(calls[3]));
  ASSERT_TRUE(slots.take_reserved(calls[3]));
  EXPECT_EQ(calls[3].slot, 3u);
  TestCall another;
  EXPECT_FALSE(slots.take_reserved(another));
  slots.release(3);
  EXPECT_FALSE(slots.take(another)) << "a reserved slot never becomes an ordinary one";
}

TEST(SlotTable, ASingleSlotServesBothKinds) {
  SlotTable slots;
  slots.reset(1);
  TestCall first, second;
  ASSERT_TRUE(slots.take_reserved(first));
  EXPECT_FALSE(slots.take(second));
  slots.release(0);
  EXPECT_TRUE(slots.take(second));
}

TEST(SlotTable, SequenceGrowsWithEachUseAndNotWhenGivenBack) {
  SlotTable slots;
  slots.reset(2);
  TestCall a, b, c;
  ASSERT_TRUE(slots.take(a));
  slots.release(a.slot);
  ASSERT_TRUE(slots.take(b));
  EXPECT_EQ(b.slot, a.slot);
  EXPECT_EQ(b.sequence, 2u);
  slots.give_back(b.slot);
  ASSERT_TRUE(slots.take(c));
  EXPECT_EQ(c.sequence, 2u);
  EXPECT_NE(c.request_id, b.request_id);
}

TEST(SlotTable, SequenceWraps) {
  SlotTable slots;
  slots.reset(2);
  const std::vector<std::uint32_t> at_the_end{0xfffffffe, 0};
  slots.adopt(at_the_end);
  TestCall last, wrapped;
  ASSERT_TRUE(slots.take(last));
  EXPECT_EQ(last.sequence, 0xffffffffu);
  slots.release(last.slot);
  ASSERT_TRUE(slots.take(wrapped));
  EXPECT_EQ(wrapped.sequence, 0u);
  EXPECT_TRUE(slots.agrees_with(std::vector<std::uint32_t>{0xffffffff, 0})) << "never arrived";
  EXPECT_TRUE(slots.agrees_with(std::vector<std::uint32_t>{0, 0})) << "arrived";
  EXPECT_FALSE(slots.agrees_with(std::vector<std::uint32_t>{1, 0}));
}

TEST(SlotTable, FindsOnlyTheRequestThatHasTheSlot) {
  SlotTable slots;
  slots.reset(2);
  TestCall a, b;
  ASSERT_TRUE(slots.take(a));
  ASSERT_EQ(slots.find(a.request_id), a.slot);
  EXPECT_EQ(slots.call(a.slot), &a);
  slots.release(a.slot);
  EXPECT_FALSE(slots.find(a.request_id));
  ASSERT_TRUE(slots.take(b));
  EXPECT_FALSE(slots.find(a.request_id)) << "an old answer does not find the slot's new call";
  EXPECT_FALSE(slots.find(b.request_id | 0xff)) << "a slot that does not exist";
  slots.abandon(b.slot);
  ASSERT_TRUE(slots.find(b.request_id));
  EXPECT_EQ(slots.call(b.slot), nullptr);
}

TEST(SlotTable, AdoptFreesAbandonedSlots) {
  SlotTable slots;
  slots.reset(3);
  TestCall gone, kept, next, another;
  ASSERT_TRUE(slots.take(gone));
  ASSERT_TRUE(slots.take(kept));
  slots.abandon(gone.slot);
  EXPECT_FALSE(slots.take(next));
  std::vector<std::uint32_t> server(3, 0);
  server[gone.slot] = 7;
  server[kept.slot] = kept.sequence;
  ASSERT_TRUE(slots.agrees_with(server));
  slots.adopt(server);
  ASSERT_TRUE(slots.take(next));
  EXPECT_EQ(next.slot, gone.slot);
  EXPECT_EQ(next.sequence, 8u);
  EXPECT_EQ(slots.call(kept.slot), &kept);
  EXPECT_FALSE(slots.take(another));
}

TEST(SlotTable, AServerWithFewerSlotsDoesNotAgree) {
  SlotTable slots;
  slots.reset(3);
  EXPECT_FALSE(slots.agrees_with(std::vector<std::uint32_t>{0, 0}));
  EXPECT_FALSE(slots.agrees_with({}));
}

}  // namespace
}  // namespace foliofs::rpc
