// Attributes that a WRITE sets in addition to the bytes: owner and mode before them, times after.
#include "tests/component/server/fixture.h"

namespace foliofs::server {
namespace {

class AttributesWithAWrite : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    put_file("file", "old");
    ::chmod((tree() / "file").c_str(), 0666);
    client_ = connect();
    auto entry = client_->lookup(client_->root(), "file");
    ASSERT_TRUE(entry);
    file_ = entry.value().reply.handle;
    open();
  }
  void open() {
    auto opened = client_->open(file_, O_RDWR);
    ASSERT_TRUE(opened);
    open_id_ = opened.value().reply.open_id;
  }
  wire::WriteRequestT sets(std::uint32_t valid) const {
    wire::WriteRequestT request;
    request.open_id = open_id_;
    request.valid = valid;
    request.mode = 0640;
    request.uid = 4242;
    request.gid = 4343;
    request.atime_ns = 5'000'000'000;
    request.mtime_ns = 7'000'000'000;
    return request;
  }
  int error_of(const wire::WriteRequestT& request) {
    return errno_of(client_->call(request, "new"));
  }

  std::unique_ptr<RawClient> client_;
  Bytes file_;
  std::uint64_t open_id_ = 0;
};

TEST_F(AttributesWithAWrite, ModeAndTimes) {
  auto request = sets(proto::kSetMode | proto::kSetAtime);
  request.flags = proto::kWriteSetMtime;
  auto written = client_->call(request, "newer");
  ASSERT_TRUE(written);
  const wire::Attributes& attributes = *written.value().reply.attributes;
  EXPECT_EQ(attributes.mode(), S_IFREG | 0640u);
  EXPECT_EQ(attributes.atime_ns(), 5'000'000'000);
  EXPECT_EQ(attributes.mtime_ns(), 7'000'000'000);
  EXPECT_EQ(attributes.size(), 5u);
  EXPECT_EQ(attributes.uid(), ::geteuid());
  EXPECT_EQ(attributes.gid(), ::getegid());
  EXPECT_EQ(file_content("file"), "newer");
}

TEST_F(AttributesWithAWrite, WhatIsNotValidStays) {
  auto written = client_->call(sets(proto::kSetAtime), "new");
  ASSERT_TRUE(written);
  const wire::Attributes& attributes = *written.value().reply.attributes;
  EXPECT_EQ(attributes.mode(), S_IFREG | 0666u);
  EXPECT_EQ(attributes.atime_ns(), 5'000'000'000);
  EXPECT_NE(attributes.mtime_ns(), 7'000'000'000);
}

TEST_F(AttributesWithAWrite, AlsoWithRanges) {
  auto request = sets(proto::kSetMode);
  request.flags = proto::kWriteRanges;
  request.ranges = {{1, 1}, {5, 2}};
  auto written = client_->call(request, "abc");
  ASSERT_TRUE(written);
  EXPECT_EQ(written.value().reply.attributes->mode(), S_IFREG | 0640u);
  EXPECT_EQ(file_content("file"), std::string("oad\0\0bc", 7));
}

TEST_F(AttributesWithAWrite, OtherFieldsAreRefused) {
  for (const std::uint32_t field :
       {std::uint32_t{proto::kSetSize}, std::uint32_t{proto::kSetMtime},
        std::uint32_t{proto::kSetAtimeNow}, std::uint32_t{proto::kSetMtimeNow},
        std::uint32_t{proto::kSetKillPrivileges}, std::uint32_t{1} << 30}) {
    EXPECT_EQ(error_of(sets(proto::kSetMode | field)), EINVAL) << field;
  }
  EXPECT_EQ(file_content("file"), "old");
  EXPECT_EQ(client_->get_attr(file_).value().reply.attributes->mode(), S_IFREG | 0666u);
}

TEST_F(AttributesWithAWrite, NothingGoesWithWhatIsAppended) {
  for (const std::uint32_t field :
       {proto::kSetMode, proto::kSetUid, proto::kSetGid, proto::kSetAtime}) {
    auto request = sets(field);
    request.flags = proto::kWriteAppend;
    EXPECT_EQ(error_of(request), EINVAL) << field;
  }
  EXPECT_EQ(file_content("file"), "old");
}

class AttributesWithAWriteOfOthers : public AttributesWithAWrite {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to act as others";
    AttributesWithAWrite::SetUp();
  }
};

TEST_F(AttributesWithAWriteOfOthers, TheOwner) {
  auto written = client_->call(sets(proto::kSetUid | proto::kSetMode), "new");
  ASSERT_TRUE(written);
  EXPECT_EQ(written.value().reply.attributes->uid(), 4242u);
  EXPECT_EQ(written.value().reply.attributes->gid(), 0u);
  EXPECT_EQ(written.value().reply.attributes->mode(), S_IFREG | 0640u);
  written = client_->call(sets(proto::kSetGid), "new");
  ASSERT_TRUE(written);
  EXPECT_EQ(written.value().reply.attributes->uid(), 4242u);
  EXPECT_EQ(written.value().reply.attributes->gid(), 4343u);
}

TEST_F(AttributesWithAWriteOfOthers, AreSetAsTheOpenerMay) {
  client_->uid = client_->gid = 65534;
  open();
  client_->uid = client_->gid = 0;  // the user who opened the file counts
  for (const std::uint32_t field : {proto::kSetMode, proto::kSetUid, proto::kSetGid}) {
    EXPECT_EQ(error_of(sets(field)), EPERM) << field;
  }
  EXPECT_EQ(file_content("file"), "old");
  EXPECT_EQ(error_of(sets(0)), 0);
  EXPECT_EQ(file_content("file"), "new");
}

// A write without privileges clears the set-id bits.
TEST_F(AttributesWithAWriteOfOthers, TheModeIsSetBeforeTheBytesAreWritten) {
  ASSERT_EQ(::chown((tree() / "file").c_str(), 65534, 65534), 0);
  client_->uid = client_->gid = 65534;
  open();
  auto request = sets(proto::kSetMode);
  request.mode = 04755;
  auto written = client_->call(request, "new");
  ASSERT_TRUE(written);
  EXPECT_EQ(written.value().reply.attributes->mode(), S_IFREG | 0755u);
}

}  // namespace
}  // namespace foliofs::server
