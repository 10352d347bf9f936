// Bytes that arrive with the reply to an OPEN.
#include <cstring>

#include "tests/unit/cache/fixture.h"

namespace foliofs::cache {
namespace {

class CachePrefillTest : public CacheTest {
 protected:
  void arrive(Prefill& prefill, const std::string& text) {
    std::size_t done = 0;
    for (const iovec& part : prefill.into()) {
      const std::size_t bytes = std::min(part.iov_len, text.size() - done);
      std::memcpy(part.iov_base, text.data() + done, bytes);
      done += bytes;
    }
    prefill.arrived(done);
  }
  std::size_t reads() const { return store->reads.size(); }

  // They span two folios, the second of which is not full.
  const std::string old_ = std::string(kFolio + 100, 'o');
  const std::string text_ = std::string(kFolio + 100, 't');
};

TEST_F(CachePrefillTest, WhatHasArrivedIsNotFetched) {
  open(old_);
  auto prefill = mapping->try_prefill(old_.size());
  ASSERT_NE(prefill, nullptr);
  EXPECT_EQ(prefill->bytes(), old_.size());
  arrive(*prefill, text_);
  EXPECT_EQ(read(0, 1 << 20), text_);
  EXPECT_EQ(reads(), 0u);
}

TEST_F(CachePrefillTest, WhatHasNotArrivedIsFetched) {
  open(text_);
  auto prefill = mapping->try_prefill(text_.size());
  arrive(*prefill, text_.substr(0, 10));
  EXPECT_EQ(read(0, 10), text_.substr(0, 10));
  EXPECT_EQ(reads(), 0u);
  EXPECT_EQ(read(0, 1 << 20), text_);
  EXPECT_GT(reads(), 0u);
}

TEST_F(CachePrefillTest, AReaderWaitsForIt) {
  open(old_);
  auto prefill = mapping->try_prefill(old_.size());
  auto reading = loop.start(mapping->read(ByteRange::of(0, 10), nullptr));
  EXPECT_FALSE(reading->has_value());
  arrive(*prefill, text_);
  loop.finish([&] { return reading->has_value(); });
  EXPECT_EQ(text_of((*reading)->value()), text_.substr(0, 10));
  EXPECT_EQ(reads(), 0u);
}

TEST_F(CachePrefillTest, AReaderGoesOnWithoutIt) {
  open(text_);
  auto prefill = mapping->try_prefill(text_.size());
  auto reading = loop.start(mapping->read(ByteRange::of(0, 10), nullptr));
  EXPECT_FALSE(reading->has_value());
  prefill.reset();
  loop.finish([&] { return reading->has_value(); });
  EXPECT_EQ(text_of((*reading)->value()), text_.substr(0, 10));
}

TEST_F(CachePrefillTest, ItDoesNotGoOverWhatWasStoredMeanwhile) {
  open(old_);
  auto prefill = mapping->try_prefill(old_.size());
  ASSERT_TRUE(write(0, "mine"));
  ASSERT_FALSE(flush(InvalidateMode::kHybrid).error);
  ASSERT_TRUE(write(50, "dirty"));
  arrive(*prefill, text_);
  EXPECT_EQ(read(0, 4), "mine");
  EXPECT_EQ(read(50, 5), "dirty");
}

TEST_F(CachePrefillTest, WhatAnInvalidationHasOvertakenIsNotUsed) {
  open(old_);
  auto prefill = mapping->try_prefill(old_.size());
  ASSERT_FALSE(invalidate(InvalidateMode::kHybrid).error);
  arrive(*prefill, text_);
  EXPECT_EQ(read(0, 1 << 20), old_);
}

TEST_F(CachePrefillTest, WhatATruncationHasOvertakenIsNotUsed) {
  open(old_);
  auto prefill = mapping->try_prefill(old_.size());
  auto on_server = [&]() -> Task<Status> {
    store->set_contents("");
    co_return success();
  };
  ASSERT_TRUE(loop.run(mapping->truncate(0, on_server)));
  mapping->set_server_size(20);
  store->set_contents(std::string(20, 'n'));
  arrive(*prefill, text_);
  EXPECT_EQ(read(0, 1 << 20), std::string(20, 'n'));
}

TEST_F(CachePrefillTest, ThereIsNoneWhereSomethingIsCached) {
  open(old_);
  read(0, 1);
  EXPECT_EQ(mapping->try_prefill(old_.size()), nullptr);
}

TEST_F(CachePrefillTest, ThereIsOneAtATimeAndNoneOfAnEmptyFile) {
  open(old_);
  auto prefill = mapping->try_prefill(old_.size());
  EXPECT_EQ(mapping->try_prefill(old_.size()), nullptr);
  prefill.reset();
  EXPECT_NE(mapping->try_prefill(old_.size()), nullptr);
  mapping->set_server_size(0);
  EXPECT_EQ(mapping->try_prefill(10), nullptr);
}

}  // namespace
}  // namespace foliofs::cache
