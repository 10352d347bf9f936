// Row 11: local and remote writes inside one folio. Only dirty byte ranges are sent; what another
// client has written beside them survives.
#include "race_fixture.h"

namespace foliofs::cache {
namespace {

// "local" is dirty at 5, with remote bytes on either side of it and behind the old end.
constexpr std::uint64_t kLocal = 5;
const std::string kOld(12, 'a');
const std::string kNew = "RRRRRlocalRRRRRR";
constexpr ByteRange kSent{kLocal, kLocal + 5};

TEST_P(RaceTable, Row11_RemoteStoreWhileUnmapping) {
  open(kOld);
  read(0, 12);
  ASSERT_TRUE(write(kLocal, "local"));
  at(FaultPoint::kWhileUnmapping, [&] { remote_store(0, std::string(16, 'R')); });
  EXPECT_FALSE(invalidate().error);
  ASSERT_EQ(store->writes.size(), 1u);
  EXPECT_EQ(store->writes[0].ranges.at(0), kSent);
  EXPECT_EQ(store->contents(), kNew);
  mapping->set_server_size(store->file.size());
  EXPECT_EQ(read(0, 100), kNew);
}

TEST_P(RaceTable, Row11_RemoteStoreAfterSnapshot) {
  open(kOld);
  read(0, 12);
  ASSERT_TRUE(write(kLocal, "local"));
  at(FaultPoint::kAfterSnapshot, [&] { remote_store(0, std::string(16, 'R')); });
  EXPECT_FALSE(invalidate().error);
  ASSERT_EQ(store->writes.size(), 1u);
  EXPECT_EQ(store->writes[0].ranges.at(0), kSent);
  EXPECT_EQ(store->contents(), kNew);
  mapping->set_server_size(store->file.size());
  EXPECT_EQ(read(0, 100), kNew);
}

TEST_P(RaceTable, Row11_RemoteStoreAfterSend) {
  open(kOld);
  read(0, 12);
  ASSERT_TRUE(write(kLocal, "local"));
  at(FaultPoint::kAfterSend, [&] { remote_store(0, std::string(16, 'R')); });
  EXPECT_FALSE(invalidate().error);
  ASSERT_EQ(store->writes.size(), 1u);
  EXPECT_EQ(store->writes[0].ranges.at(0), kSent);
  EXPECT_EQ(store->contents(), kNew);
  mapping->set_server_size(store->file.size());
  EXPECT_EQ(read(0, 100), kNew);
}

// A local store comes in as well, among the remote bytes.
TEST_P(RaceTable, Row11_RemoteAndLocalStoresAfterAcknowledgement) {
  open(kOld);
  read(0, 12);
  ASSERT_TRUE(write(kLocal, "local"));
  at(FaultPoint::kAfterAcknowledge, [&] {
    remote_store(0, "RRRRR");
    remote_store(10, "RRRRRR");
    mapped_store(1, "L");
  });
  expect_honest(invalidate());
  EXPECT_FALSE(flush().error);
  ASSERT_EQ(store->writes.size(), 2u);
  EXPECT_EQ(store->writes[0].ranges.at(0), kSent);
  EXPECT_EQ(store->writes[1].ranges.at(0), (ByteRange{1, 2}));
  EXPECT_EQ(store->contents(), "RLRRRlocalRRRRRR");
  mapping->set_server_size(store->file.size());
  EXPECT_EQ(read(0, 100), "RLRRRlocalRRRRRR");
}

// The remote store overwrites the bytes that have just been written: the server's order decides.
TEST_P(RaceTable, Row11_RemoteStoreBeforeEraseIsSeenAfterwards) {
  open(kOld);
  read(0, 12);
  ASSERT_TRUE(write(kLocal, "local"));
  at(FaultPoint::kBeforeErase, [&] { remote_store(0, std::string(12, 'R')); });
  EXPECT_FALSE(invalidate().error);
  EXPECT_EQ(store->contents(), std::string(12, 'R'));
  EXPECT_EQ(read(0, 100), std::string(12, 'R'));
}

// The WRITE was sent before the invalidation was requested, and another client has overwritten its
// bytes before the answer came in: they do not count as "stored here" any more. A store from before
// the invalidation keeps the folio from being dropped.
TEST_P(RaceTable, Row11_RemoteStoreOverAWriteFromBeforeTheInvalidation) {
  open(kOld);
  ASSERT_TRUE(write(kLocal, "local"));
  windows.stop_at(FaultPoint::kAfterAcknowledge);
  auto flushed = start_flush();
  ASSERT_TRUE(windows.stopped());
  remote_store(0, std::string(12, 'R'));
  mapped_store(0, "L");
  auto invalidated =
      loop.start(mapping->invalidate({GetParam(), InvalidateReason::kUser, /*flush=*/false}));
  windows.go_on();
  finish(flushed, invalidated);
  EXPECT_EQ(read(0, 100), "LRRRRRRRRRRR");
}

// One edge is in the middle of a folio, and one in the middle of the file's last block.
TEST_P(RaceTable, Row11_BytesOutsideAnUnalignedEdgeSurvive) {
  open(std::string(kFolio + 100, 'a'));
  read(0, kFolio + 100);
  ASSERT_TRUE(write(kFolio - 3, "LLLLLL"));
  ASSERT_TRUE(write(kFolio + 98, "LLLL"));
  at(FaultPoint::kAfterSend, [&] { remote_store(kFolio - 10, std::string(200, 'R')); });
  EXPECT_FALSE(invalidate().error);
  std::string expected = std::string(kFolio - 10, 'a') + std::string(200, 'R');
  expected.replace(kFolio - 3, 6, "LLLLLL").replace(kFolio + 98, 4, "LLLL");
  EXPECT_EQ(store->contents(), expected);
  RangeSet sent;
  std::uint64_t bytes_sent = 0;
  for (const auto& one : store->writes) {
    for (ByteRange range : one.ranges) {
      sent.add(range);
      bytes_sent += range.size();
    }
  }
  RangeSet stored;
  stored.add({kFolio - 3, kFolio + 3});
  stored.add({kFolio + 98, kFolio + 102});
  EXPECT_EQ(sent, stored);
  EXPECT_EQ(bytes_sent, 10u) << "each byte once";
  mapping->set_server_size(store->file.size());
  EXPECT_EQ(read(0, 2 * kFolio), expected);
}

}  // namespace
}  // namespace foliofs::cache
