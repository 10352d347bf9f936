// One mapping over a fake store, on a loop with virtual time.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "foliofs/cache/cache.h"
#include "foliofs/cache/mapping.h"
#include "tests/support/fake_store.h"
#include "tests/support/fault_windows.h"
#include "tests/support/loop.h"

namespace foliofs::cache {

class CacheTest : public testing::Test {
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
    store->faults = &windows;
    kernel->faults = &windows;
    cache.emplace(loop.executor(), loop.clock, config, &windows);
    mapping = cache->make_mapping(store, kernel, contents.size());
  }

  // Stores of `write_bytes` that are not adjacent become one WRITE each.
  void open_with_small_writes(const std::string& contents, std::uint32_t write_bytes) {
    CacheConfig config = small_config();
    config.max_io = write_bytes;
    open(contents, config);
  }

  void TearDown() override {
    EXPECT_EQ(windows.never_entered(), "") << "the window of the race was not entered";
    windows.disarm();
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
  // Whether the kernel has been told to drop every page that it may have.
  bool all_unmapped() const {
    RangeSet unmapped;
    for (ByteRange range : kernel->unmapped) unmapped.add(range);
    return unmapped.contains(ByteRange::all());
  }
  InvalidateReport flush(InvalidateMode mode, InvalidateReason reason = InvalidateReason::kSync) {
    return loop.run(mapping->flush({mode, reason, true}));
  }

  // Runs `action` when the core reaches `point`; a window that is not entered fails the test.
  template <class Action>
  void at(FaultPoint point, Action action) {
    windows.at(point, std::move(action));
  }
  template <class Action>
  void at_each(FaultPoint point, Action action) {
    windows.at_each(point, std::move(action));
  }

  test::Loop loop;
  std::shared_ptr<test::FakeStore> store = std::make_shared<test::FakeStore>();
  std::shared_ptr<test::FakeKernel> kernel = std::make_shared<test::FakeKernel>();
  std::optional<Cache> cache;
  std::shared_ptr<Mapping> mapping;
  test::FaultWindows windows;
};

class EveryMode : public CacheTest, public testing::WithParamInterface<InvalidateMode> {};

}  // namespace foliofs::cache
