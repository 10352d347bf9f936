// Reply: the answer to one request, before and after it has become a frame.
#pragma once

#include <memory>
#include <string>

#include "foliofs/proto/messages.h"
#include "server/buffer_pool.h"

namespace foliofs::server {

// Shared by the frame on its way out and the slot that keeps it for a retry.
using SharedMeta = std::shared_ptr<const proto::MetaBuffer>;

struct Reply {
  SharedMeta meta;
  Buffer payload;
  bool error = false;  // the metadata is an ErrorReply
};

inline Reply make_reply(proto::MetaBuffer meta, Buffer payload = {}) {
  return {std::make_shared<const proto::MetaBuffer>(std::move(meta)), std::move(payload), false};
}

// `text` is for people, and may be empty.
inline Reply make_error(Errno error, const std::string& text = {}) {
  wire::ErrorReplyT native;
  native.errno_value = error.value();
  native.text = text;
  Reply reply = make_reply(proto::encode(native));
  reply.error = true;
  return reply;
}

// A reply with the header that it is sent with.
struct Outgoing {
  proto::FrameHeader header;
  SharedMeta meta;
  Buffer payload;
  std::size_t charge = 0;  // bytes that the request counted against its connection
};

inline Outgoing make_frame(const proto::FrameHeader& request, Reply reply) {
  Outgoing frame;
  frame.header = request;
  frame.header.flags = proto::kFlagReply;
  if (reply.error) frame.header.flags |= proto::kFlagError;
  frame.header.meta_bytes = static_cast<std::uint32_t>(reply.meta->size());
  frame.header.payload_bytes = static_cast<std::uint32_t>(reply.payload.size());
  frame.meta = std::move(reply.meta);
  frame.payload = std::move(reply.payload);
  return frame;
}

}  // namespace foliofs::server
