// A mount over a real session to a FakeServer, in virtual time. The test controls the fake kernel
// above it.
#pragma once

#include <gtest/gtest.h>

#include "foliofs/rpc/session.h"
#include "foliofs/vfs/mount.h"
#include "foliofs/vfs/operations.h"
#include "tests/support/loop.h"
#include "tests/unit/vfs/fake_server.h"

namespace foliofs::test {

class FakeMountKernel final : public vfs::Kernel {
 public:
  std::vector<std::uint64_t> dropped;  // the nodes whose pages it was told to drop
  bool hold = false;                   // while set, dropping pages does not end
  int waiting = 0;
  FaultPoints* faults = nullptr;  // reaches kWhileUnmapping

  Task<void> invalidate_pages(std::uint64_t node, ByteRange) override {
    dropped.push_back(node);
    if (faults != nullptr) co_await faults->reach(FaultPoint::kWhileUnmapping);
    ++waiting;
    while (hold) co_await released_.wait();
    --waiting;
  }
  Task<void> extend(std::uint64_t, std::uint64_t size, std::byte last) override {
    extended.emplace_back(size, static_cast<char>(last));
    co_return;
  }
  std::vector<std::pair<std::uint64_t, char>> extended;
  Task<void> expire_attributes(std::vector<vfs::KernelNode> nodes) override {
    for (const auto& node : nodes) {
      expired.push_back(node.id);
      if (node.directory) expired_listings.push_back(node.id);
    }
    while (hold_attributes) co_await attributes_released_.wait();
  }
  Task<void> expire_names(std::vector<vfs::KernelName> names) override {
    expired_names.insert(expired_names.end(), names.begin(), names.end());
    while (hold_names) co_await names_released_.wait();
  }
  bool keeps_expired_names() const override { return keeps_names; }
  bool keeps_names = true;
  bool expires_absent_names() const override { return forgets_absent_names; }
  bool forgets_absent_names = true;
  std::vector<std::uint64_t> expired;           // nodes whose attributes it was told to expire
  std::vector<std::uint64_t> expired_listings;  // the directories among them
  std::vector<vfs::KernelName> expired_names;
  bool hold_attributes = false;
  void release_attributes() {
    hold_attributes = false;
    attributes_released_.wake_all();
  }
  Task<void> forget(std::vector<vfs::KernelFile> files) override {
    forgotten.push_back(files);
    if (on_forget) on_forget(files);
    co_return;
  }
  std::vector<std::vector<vfs::KernelFile>> forgotten;  // one batch after the other
  std::function<void(const std::vector<vfs::KernelFile>&)> on_forget;
  bool hold_names = false;  // while set, expiring names does not end, as if directories were locked
  void release_names() {
    hold_names = false;
    names_released_.wake_all();
  }
  void release() {
    hold = false;
    released_.wake_all();
  }

 private:
  WaitQueue released_;
  WaitQueue attributes_released_;
  WaitQueue names_released_;
};

class VfsTest : public testing::Test {
 protected:
  using Node = vfs::NodeId;

  VfsTest() { options_.actimeo_us = std::chrono::seconds(1); }
  void SetUp() override {
    rpc::SessionOptions session;
    session.export_name = "share";
    session.client_name = "test";
    session.wants_leases = wants_leases_;
    session_ = std::make_unique<rpc::Session>(loop_.executor(), loop_.clock, server_, session);
    auto started = loop_.run(session_->start());
    ASSERT_TRUE(started) << errno_name(started.error());
    mount_ = std::make_unique<vfs::Mount>(loop_.executor(), loop_.clock, *session_, kernel_,
                                          options_, faults_);
  }
  void TearDown() override {
    server_.release();
    server_.fails.clear();
    kernel_.release();
    kernel_.release_attributes();
    kernel_.release_names();
    (void)loop_.run(mount_->shut_down());
    loop_.run(session_->close());
  }

  vfs::Operations& ops() { return mount_->operations(); }

  static vfs::Call call(std::uint32_t uid = 1000) {
    vfs::Call call;
    call.caller.uid = uid;
    call.thread = 1;
    return call;
  }
  Node lookup(const std::string& name) {
    auto entry = loop_.run(ops().lookup(call(), vfs::kRootNode, name));
    EXPECT_TRUE(entry) << errno_name(entry.error());
    return entry ? entry.value().node : 0;
  }
  vfs::OpenedFile open(Node node, int flags = O_RDWR) {
    auto opened = loop_.run(ops().open(call(), node, flags));
    if (!opened && opened.error() == Errno(ESTALE)) {
      // Like the kernel, looks the path up again after ESTALE.
      stat(node);
      opened = loop_.run(ops().open(call(), node, flags));
    }
    EXPECT_TRUE(opened) << errno_name(opened.error());
    return opened ? opened.value() : vfs::OpenedFile{};
  }
  Result<vfs::CreatedFile> create(const std::string& name, int flags, std::uint32_t mode = 0644) {
    return loop_.run(ops().create(call(), vfs::kRootNode, name, mode, flags));
  }
  static vfs::Store store(std::uint64_t offset, std::string_view text) {
    vfs::Store store;
    store.offset = offset;
    store.data = std::as_bytes(std::span(text));
    return store;
  }
  Status write(const vfs::OpenedFile& opened, std::uint64_t offset, std::string_view text) {
    return loop_.run(ops().write(call(), opened.file, store(offset, text)));
  }
  std::string read(const vfs::OpenedFile& opened) {
    auto result = loop_.run(ops().read(opened.file, 0, 1 << 20));
    EXPECT_TRUE(result) << errno_name(result.error());
    std::string text;
    if (!result) return text;
    for (const iovec& part : result.value().parts) {
      text.append(static_cast<const char*>(part.iov_base), part.iov_len);
    }
    return text;
  }
  Status flush(const vfs::OpenedFile& opened) { return loop_.run(ops().flush(opened.file)); }
  Status fsync(const vfs::OpenedFile& opened) { return loop_.run(ops().fsync(opened.file, false)); }
  void release(const vfs::OpenedFile& opened) { loop_.run(ops().release(opened.file.get())); }
  vfs::Attributes stat(Node node) {
    auto attributes = loop_.run(ops().getattr(call(), node, nullptr));
    EXPECT_TRUE(attributes) << errno_name(attributes.error());
    return attributes ? attributes.value() : vfs::Attributes{};
  }
  void pass(Duration time) { loop_.run(loop_.clock.sleep(time)); }
  void expire() { pass(std::chrono::milliseconds(1100)); }
  // Runs the loop until `done`; virtual time passes only when nothing else is ready.
  void until(const std::function<bool()>& done) { loop_.finish(done); }

  Loop loop_;
  FakeServer server_{loop_.executor()};
  FakeMountKernel kernel_;
  vfs::MountOptions options_;
  bool wants_leases_ = false;
  FaultPoints* faults_ = nullptr;
  std::unique_ptr<rpc::Session> session_;
  std::unique_ptr<vfs::Mount> mount_;
};

}  // namespace foliofs::test
