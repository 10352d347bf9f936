// Sessions of a real server that get leases, receive recalls, and return leases.
#pragma once

#include <gmock/gmock.h>

#include "server/disk_watch.h"
#include "tests/component/server/fixture.h"

namespace foliofs::server {

inline bool is_leased(const std::unique_ptr<wire::Attributes>& attributes) {
  EXPECT_TRUE(attributes);
  return attributes && (attributes->flags() & proto::kLeased) != 0;
}

// A session that gets leases, and the names under which the test knows the files.
class Holder : public RawClient {
 public:
  explicit Holder(std::uint16_t port) : RawClient(port) { features = proto::kFeatureLeases; }

  // Gets a lease of the file with that name, and of its parent.
  Bytes hold(const Bytes& parent, const std::string& name) {
    auto entry = lookup(parent, name);
    EXPECT_TRUE(entry) << name;
    if (!entry) return {};
    EXPECT_TRUE(is_leased(entry.value().reply.attributes)) << name;
    EXPECT_TRUE(is_leased(entry.value().reply.parent_attributes)) << name;
    know(entry.value().reply.handle, name);
    return entry.value().reply.handle;
  }
  void know(const Bytes& handle, const std::string& name) { names_[handle] = name; }
  bool gets_lease(const Bytes& handle) {
    auto attributes = get_attr(handle);
    EXPECT_TRUE(attributes);
    return attributes && is_leased(attributes.value().reply.attributes);
  }

  // Receives the next frame, which must be a recall.
  wire::LeasesRecalledT next_recall() {
    auto frame = receive();
    EXPECT_TRUE(frame) << "no notice";
    if (!frame) return {};
    const FrameHeader& header = frame.value().header;
    EXPECT_TRUE(header.is_notice());
    EXPECT_EQ(header.type, MessageType::kLeasesRecalled);
    EXPECT_EQ(header.slot, 0u);
    EXPECT_EQ(header.request_id, 0u);
    auto recalled = proto::decode<wire::LeasesRecalled>(frame.value().meta);
    EXPECT_TRUE(recalled);
    return recalled ? std::move(recalled.value()) : wire::LeasesRecalledT();
  }
  // For each lease "file", or for a directory "directory: changed changed".
  std::vector<std::string> describe(const wire::LeasesRecalledT& recalled) const {
    std::vector<std::string> described;
    for (const auto& lease : recalled.leases) {
      auto known = names_.find(lease->handle);
      std::string text = known != names_.end() ? known->second : "?";
      const char* before = ": ";
      for (const std::string& name : lease->names) text += std::exchange(before, " ") + name;
      described.push_back(text);
    }
    return described;
  }
  // Gives up leases that were not recalled.
  Status drop(const std::vector<Bytes>& handles) {
    wire::ReturnLeasesRequestT request;
    for (const Bytes& handle : handles) {
      request.dropped.push_back(std::make_unique<wire::LeasedFileT>());
      request.dropped.back()->handle = handle;
    }
    auto answer = call(request);
    if (!answer) return answer.error();
    return success();
  }
  Status give_back(std::vector<std::uint64_t> recalls, bool everything = false) {
    wire::ReturnLeasesRequestT request;
    request.recalls = std::move(recalls);
    request.everything = everything;
    auto answer = call(request);
    if (!answer) return answer.error();
    return success();
  }

 private:
  std::map<Bytes, std::string> names_;
};

// Whether nothing is on its way to the client: the next frame is the reply to the ping sent here,
// not a notice, and not the reply to an earlier request in another slot.
inline bool hears_nothing(RawClient& client, std::uint32_t slot = 7) {
  return bool(client.exchange(client.next(MessageType::kPing, slot), wire::PingRequestT()));
}

// A tree of "file", "other" and "directory" with "inner" and "below" in it, a session that has
// leases of all of them, and a session that has none.
class LeasesTest : public ServerTest {
 protected:
  void adjust(Options& options) override {
    options.exports = {{"data", tree(), false, {Squash::kNone, 65534, 65534}}};
    options.watches_disk = false;  // other programs use the same disk meanwhile
  }
  void SetUp() override {
    ServerTest::SetUp();
    fs::create_directories(tree() / "directory/below");
    for (const char* name : {"file", "other", "directory/inner"}) put_file(name, "content");
    ::chmod((tree() / "directory").c_str(), 0755);
    ::chmod((tree() / "file").c_str(), 0644);
    holder_ = holder();
    root_ = holder_->root();
    file_ = holder_->hold(root_, "file");
    other_file_ = holder_->hold(root_, "other");
    directory_ = holder_->hold(root_, "directory");
    inner_ = holder_->hold(directory_, "inner");
    below_ = holder_->hold(directory_, "below");
    holder_->know(root_, "root");
    other_ = connect();
  }

  std::unique_ptr<Holder> holder(const Bytes& session = {}) {
    auto holder = std::make_unique<Holder>(port());
    auto hello = holder->hello("data", session);
    EXPECT_TRUE(hello && hello.value().features == proto::kFeatureLeases);
    return holder;
  }
  static std::uint64_t open_file(RawClient& client, const Bytes& handle, int flags = O_RDWR) {
    auto opened = client.open(handle, flags);
    EXPECT_TRUE(opened);
    return opened ? opened.value().reply.open_id : 0;
  }
  static wire::WriteRequestT write_request(std::uint64_t open_id) {
    wire::WriteRequestT request;
    request.open_id = open_id;
    return request;
  }

  std::unique_ptr<Holder> holder_;
  std::unique_ptr<RawClient> other_;
  Bytes root_, file_, other_file_, directory_, inner_, below_;
};

}  // namespace foliofs::server
