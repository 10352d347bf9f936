// Call: one request while it executes, and the table of what executes it.
//
// A handler runs first on the loop that owns the connection, where it must not wait: EAGAIN there
// means that it has to, and that it is run again in the pool. It validates what the client sent; an
// error that it returns becomes an ErrorReply.
#pragma once

#include <memory>
#include <vector>

#include "server/reply.h"
#include "server/session.h"

namespace foliofs::server {

enum class Place { kLoop, kPool };

// What a READ or an OPEN has got without waiting, kept for when it goes on in the pool.
struct PartialRead {
  bool begun = false;
  std::shared_ptr<OpenFile> opened;  // OPEN only
  Buffer data;
  std::size_t filled = 0;
  wire::Attributes attributes;
};

struct Call {
  std::shared_ptr<Session> session;
  proto::FrameHeader header;
  std::vector<std::byte> meta;
  Buffer payload;
  BufferPool* buffers = nullptr;
  std::size_t charge = 0;
  PartialRead partial;

  FileStore& store() const { return *session->share().store; }
};

// What is done with one type of message.
struct Handler {
  proto::MessageType type{};
  // Its reply is not kept: a retry executes again.
  bool idempotent = false;
  // Refused with EROFS where nothing may be changed.
  bool modifies = false;
  // Is this its request table?
  bool (*verify)(std::span<const std::byte> meta) = nullptr;
  Result<Reply> (*run)(Call& call, Place place) = nullptr;
};

// nullptr for a type that no session may send (Hello is the connection's own).
const Handler* find_handler(proto::MessageType type);

// Runs `handler`, whatever the session may do; never EAGAIN in the pool.
Result<Reply> run_handler(const Handler& handler, Call& call, Place place);

// The payload that went with the kept reply `meta` of an OPEN: it is read again.
Buffer replay_open_payload(Call& call, const proto::MetaBuffer& meta);

}  // namespace foliofs::server
