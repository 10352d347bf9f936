// For rows 8 and 9 of the race table, which need open files: a mount over a server in the test's
// own loop, with windows as in race_fixture.h.
#pragma once

#include <deque>

#include "tests/support/fault_windows.h"
#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {

class RaceTableOfMount : public VfsTest, public testing::WithParamInterface<cache::InvalidateMode> {
 protected:
  using Opened = vfs::OpenedFile;
  template <class T>
  using Future = std::shared_ptr<std::optional<T>>;
  // How a close or release ended, and what the server's file was at that moment.
  struct Ended {
    Status status = success();
    std::string on_server;
  };

  void SetUp() override {
    options_.invalidate = GetParam();
    faults_ = &windows_;
    server_.faults = &windows_;
    kernel_.faults = &windows_;
    VfsTest::SetUp();
  }
  void TearDown() override {
    EXPECT_EQ(windows_.never_entered(), "") << "the window of the race was not entered";
    windows_.disarm();
    VfsTest::TearDown();
  }

  template <class Action>
  void at(FaultPoint point, Action action) {
    windows_.at(point, std::move(action));
  }

  Opened open_file() {
    server_.add("f", std::string(16, '.'));
    return open(lookup("f"));
  }
  // The same, with dirty bytes at the beginning of the file.
  Opened open_dirty() {
    auto opened = open_file();
    EXPECT_TRUE(write(opened, 0, "first"));
    return opened;
  }
  // The kernel writes back a page of a mapping of the file; nothing holds that up.
  void mapped_store(const Opened& opened, std::uint64_t offset, std::string_view text) {
    auto page = store(offset, text);
    page.source = cache::WriteSource::kPageWriteback;
    EXPECT_TRUE(ops().try_write(opened.file.get(), page));
  }
  auto start_invalidate() {
    return loop_.start(mount_->invalidate(call().caller, "f", std::nullopt, /*flush=*/true));
  }
  // The invalidation stops at `point` until windows_.go_on().
  auto start_invalidate_up_to(FaultPoint point) {
    windows_.stop_at(point);
    auto invalidated = start_invalidate();
    until([&] { return windows_.stopped(); });
    return invalidated;
  }
  Future<Ended> start_flush(const Opened& opened) { return loop_.start(flushed(opened.file)); }
  Future<Ended> start_release(Opened& opened) {
    return loop_.start(released(std::exchange(opened.file, nullptr)));
  }
  template <class... Futures>
  void finish(const Futures&... futures) {
    until([&] { return ((futures && futures->has_value()) && ...); });
  }

  static void expect_good(const Future<Ended>& ended, std::string_view on_server) {
    EXPECT_TRUE((*ended)->status);
    EXPECT_EQ((*ended)->on_server, on_server);
  }

  FaultWindows windows_;

 private:
  Task<Ended> flushed(vfs::OpenFileRef file) {
    Ended ended;
    ended.status = co_await ops().flush(file);
    ended.on_server = server_.file("f").data;
    co_return ended;
  }
  Task<Ended> released(vfs::OpenFileRef file) {
    co_await ops().release(file.get());
    Ended ended;
    ended.on_server = server_.file("f").data;
    co_return ended;
  }
};

}  // namespace foliofs::test
