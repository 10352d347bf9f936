// One mapping over a fake store, on a loop with virtual time.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "foliofs/cache/cache.h"
#include "foliofs/cache/mapping.h"
#include "tests/support/fake_store.h"
#include "tests/support/loop.h"

namespace foliofs::cache {

class CacheTest : public testing::Test, public FaultPoints {
 protected:
  static constexpr std::uint64_t kFolio = 4096;

  static CacheConfig small_config() {
    CacheConfig config;
    config.folio_size = kFolio;
    config.cache_size = 8 << 20;
    config.dirty_background = 2 << 20;
    config.dirty_limit = 4 << 20;
    config.readahead = 0;
    return config;
  }

  void open(const std::string& contents = "", CacheConfig config = small_config()) {
    store->set_contents(contents);
    cache.emplace(loop.executor(), loop.clock, config, this);
    mapping = cache->make_mapping(store, kernel, contents.size());
  }

  void TearDown() override {
    store->write_error.reset();
    store->release();
    if (!cache) return;
    EXPECT_TRUE(loop.run(cache->flush_all({})));
    mapping.reset();
    loop.run(cache->stop());
    loop.settle();
  }

  static std::span<const std::byte> bytes(const std::string& text) {
    return std::as_bytes(std::span(text));
  }
  Status write(std::uint64_t offset, const std::string& text,
               WriteSource source = WriteSource::kSystemCall) {
    return loop.run(mapping->write(offset, bytes(text), source));
  }
  static std::string text_of(const ReadResult& result) {
    std::string text;
    for (const iovec& part : result.parts) {
      text.append(static_cast<const char*>(part.iov_base), part.iov_len);
    }
    return text;
  }
  std::string read(std::uint64_t offset, std::uint64_t length) {
    auto result = loop.run(mapping->read(ByteRange::of(offset, length), nullptr));
    return result ? text_of(result.value()) : errno_name(result.error());
  }
  InvalidateReport invalidate(InvalidateMode mode, bool flush = true,
                              InvalidateReason reason = InvalidateReason::kUser) {
    return loop.run(mapping->invalidate({mode, reason, flush}));
  }
  InvalidateReport flush(InvalidateMode mode, InvalidateReason reason = InvalidateReason::kClose) {
    return loop.run(mapping->flush({mode, reason, true}));
  }

  // FaultPoints: runs what the test has put there, the first time the point is reached.
  Task<void> reach(FaultPoint point) override {
    auto found = at_point.find(point);
    if (found == at_point.end()) co_return;
    auto action = std::move(found->second);
    at_point.erase(found);
    ++points_reached;
    action();
  }

  test::Loop loop;
  std::shared_ptr<test::FakeStore> store = std::make_shared<test::FakeStore>();
  std::shared_ptr<test::FakeKernel> kernel = std::make_shared<test::FakeKernel>();
  std::optional<Cache> cache;
  std::shared_ptr<Mapping> mapping;
  std::map<FaultPoint, std::function<void()>> at_point;
  int points_reached = 0;
};

class EveryMode : public CacheTest, public testing::WithParamInterface<InvalidateMode> {};

}  // namespace foliofs::cache
