// The race table: each of its rows (README.md) in each of the three modes.
//
// A test arms the window of its race with at(point, action), then invalidates or flushes. The
// fixture fails the test if the core never reached that window.
#pragma once

#include <deque>

#include "tests/unit/cache/fixture.h"

namespace foliofs::cache {

class RaceTable : public CacheTest, public testing::WithParamInterface<InvalidateMode> {
 protected:
  template <class T>
  using Future = std::shared_ptr<std::optional<T>>;

  // --- What the table's actors do ---

  // A file with these contents on the server, and dirty bytes here.
  void open_dirty(const std::string& contents, std::uint64_t offset, const std::string& text) {
    open(contents);
    EXPECT_TRUE(write(offset, text));
  }
  InvalidateRequest request(InvalidateReason reason = InvalidateReason::kUser) const {
    return {GetParam(), reason, true};
  }
  InvalidateReport invalidate(InvalidateReason reason = InvalidateReason::kUser) {
    return loop.run(mapping->invalidate(request(reason)));
  }
  Future<InvalidateReport> start_invalidate() { return loop.start(mapping->invalidate(request())); }
  InvalidateReport flush() { return loop.run(mapping->flush(request(InvalidateReason::kSync))); }
  Future<InvalidateReport> start_flush() {
    return loop.start(mapping->flush(request(InvalidateReason::kSync)));
  }

  // The kernel writes back a page that a process has stored to; nothing holds that up.
  void mapped_store(std::uint64_t offset, const std::string& text) {
    EXPECT_TRUE(mapping->try_write(offset, bytes(text), WriteSource::kPageWriteback));
  }
  // write(2), which a gate or a folio's lock may hold up.
  Future<Status> start_store(std::uint64_t offset, std::string text) {
    texts_.push_back(std::move(text));
    return loop.start(mapping->write(offset, bytes(texts_.back()), WriteSource::kSystemCall));
  }
  Future<Status> start_direct_store(std::uint64_t offset, std::string text) {
    texts_.push_back(std::move(text));
    return loop.start(mapping->write_direct(offset, bytes(texts_.back())));
  }
  // A process reads the range, or faults it in.
  Future<Result<ReadResult>> start_read(std::uint64_t offset, std::uint64_t length) {
    return loop.start(mapping->read(ByteRange::of(offset, length), nullptr));
  }
  Task<std::string> fault(std::uint64_t offset, std::uint64_t length) {
    auto result = co_await mapping->read(ByteRange::of(offset, length), nullptr);
    co_return result ? text_of(result.value()) : errno_name(result.error());
  }
  // truncate(2). No WRITE of the file may be in flight when the server is told.
  Task<Status> truncate(std::uint64_t size) {
    return mapping->truncate(size, [this, size]() -> Task<Status> {
      EXPECT_EQ(store->writes_waiting, 0u);
      store->file.resize(size);
      co_return success();
    });
  }
  Future<Status> start_truncate(std::uint64_t size) { return loop.start(truncate(size)); }
  Task<Status> truncate_down_and_up(std::uint64_t down, std::uint64_t up) {
    auto status = co_await truncate(down);
    EXPECT_TRUE(status);
    co_return co_await truncate(up);
  }
  // Another client writes to the server's file.
  void remote_store(std::uint64_t offset, const std::string& text) {
    if (store->file.size() < offset + text.size()) store->file.resize(offset + text.size());
    std::memcpy(store->file.data() + offset, text.data(), text.size());
  }

  // --- What is expected of the outcome ---

  template <class... Futures>
  void finish(const Futures&... futures) {
    loop.finish([&] { return ((futures && futures->has_value()) && ...); });
  }
  std::string on_server(std::uint64_t offset, std::uint64_t length) const {
    const std::string all = store->contents();
    return offset < all.size() ? all.substr(offset, length) : "";
  }
  // After a flush the server has exactly `contents`.
  void expect_after_flush(const std::string& contents) {
    EXPECT_FALSE(flush().error);
    EXPECT_EQ(store->contents(), contents);
    EXPECT_EQ(mapping->size(), contents.size());
  }
  // Bytes are not lost if they are on the server or still dirty here. A reader here must see them,
  // and the next flush must write them.
  void expect_not_lost(std::uint64_t offset, const std::string& text) {
    EXPECT_TRUE(on_server(offset, text.size()) == text || mapping->dirty_bytes() > 0);
    EXPECT_EQ(read(offset, text.size()), text);
    EXPECT_FALSE(flush().error);
    EXPECT_EQ(mapping->dirty_bytes(), 0u);
    EXPECT_EQ(on_server(offset, text.size()), text);
    EXPECT_EQ(read(offset, text.size()), text);
  }
  // "Not invalidated" is never reported as success.
  static void expect_honest(const InvalidateReport& report) {
    const auto honest = report.folios_kept > 0 ? std::optional(Errno(EBUSY)) : std::nullopt;
    EXPECT_EQ(report.error, honest);
  }

 private:
  std::deque<std::string> texts_;  // of stores that may still be going on
};

}  // namespace foliofs::cache
