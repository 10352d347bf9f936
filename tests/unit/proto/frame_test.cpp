#include "foliofs/proto/frame.h"

#include <gtest/gtest.h>

#include "foliofs/base/limits.h"
#include "foliofs/proto/messages.h"

namespace foliofs::proto {
namespace {

FrameHeader a_write() {
  FrameHeader header;
  header.type = MessageType::kWrite;
  header.meta_bytes = 48;
  header.payload_bytes = kMaxPayloadBytes;
  header.slot = 7;
  header.sequence = 0xfffffff0;
  header.request_id = 0x0123456789abcdef;
  return header;
}

TEST(Frame, OnlyTwoRequestsHaveAPayload) {
  EXPECT_EQ(max_request_payload(MessageType::kWrite), kMaxPayloadBytes);
  EXPECT_EQ(max_request_payload(MessageType::kSetXattr), kMaxXattrBytes);
  EXPECT_EQ(max_request_payload(MessageType::kRead), 0u);
  EXPECT_EQ(max_request_payload(MessageType::kGetXattr), 0u);
}

TEST(Frame, RoundTrip) {
  auto decoded = decode_header(encode_header(a_write()));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded.value().type, MessageType::kWrite);
  EXPECT_EQ(decoded.value().meta_bytes, 48u);
  EXPECT_EQ(decoded.value().payload_bytes, kMaxPayloadBytes);
  EXPECT_EQ(decoded.value().slot, 7u);
  EXPECT_EQ(decoded.value().sequence, 0xfffffff0u);
  EXPECT_EQ(decoded.value().request_id, 0x0123456789abcdefu);
}

TEST(Frame, RefusesWhatNoPeerMaySend) {
  auto refused = [](auto change) {
    FrameHeader header = a_write();
    change(header);
    return !decode_header(encode_header(header));
  };
  EXPECT_TRUE(refused([](FrameHeader& h) { h.payload_bytes = kMaxPayloadBytes + 1; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.meta_bytes = kMaxMetaBytes + 1; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.slot = kMaxSlots; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.type = static_cast<MessageType>(999); }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.flags = 0x8000; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.flags = kFlagError; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.flags = kFlagReply | kFlagNotice; }));
  HeaderBytes bytes = encode_header(a_write());
  bytes[0] ^= std::byte{1};
  EXPECT_FALSE(decode_header(bytes));
}

TEST(Messages, EncodeDecode) {
  wire::LookupRequestT request;
  request.name = "naïve\xff";
  request.parent = {1, 2, 3};
  request.caller = std::make_unique<wire::CallerT>();
  request.caller->groups = {4, 5};
  MetaBuffer meta = encode(request);
  auto decoded = decode<wire::LookupRequest>(std::as_bytes(std::span(meta.data(), meta.size())));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded.value().name, request.name);
  EXPECT_EQ(decoded.value().caller->groups, request.caller->groups);
}

TEST(Messages, GarbageIsAnErrorNotACrash) {
  wire::LookupRequestT request;
  request.name = std::string(100, 'n');
  MetaBuffer meta = encode(request);
  auto bytes = std::as_bytes(std::span(meta.data(), meta.size()));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    auto decoded = decode<wire::LookupRequest>(bytes.first(cut));
    if (!decoded) {
      EXPECT_EQ(decoded.error(), Errno(EPROTO));
    }
  }
  EXPECT_FALSE(decode<wire::LookupRequest>({}));
}

TEST(Messages, NamesAreSingleComponents) {
  EXPECT_TRUE(check_name("a"));
  EXPECT_TRUE(check_name("..."));
  EXPECT_TRUE(check_name(std::string(kMaxNameBytes, 'x')));
  EXPECT_EQ(check_name(std::string(kMaxNameBytes + 1, 'x')).error(), Errno(ENAMETOOLONG));
  for (const char* bad : {"", ".", "..", "a/b", "/"}) {
    EXPECT_EQ(check_name(bad).error(), Errno(EINVAL)) << bad;
  }
  EXPECT_EQ(check_name(std::string_view("a\0b", 3)).error(), Errno(EINVAL));
}

}  // namespace
}  // namespace foliofs::proto
