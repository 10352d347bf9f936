// Call: one request while it executes, and the table of what executes it.
//
// A handler runs first on the loop that owns the connection, where it must not wait long: EAGAIN
// there means that it has to, has done nothing yet, and is run again in the export's pool. It
// validates what the client sent; an error that it returns becomes an ErrorReply.
#pragma once

#include <memory>
#include <vector>

#include "server/reply.h"
#include "server/session.h"

namespace foliofs::server {

// Most that the reply of an OPEN carries.
inline constexpr std::uint32_t kMaxOpenReadBytes = 128 * 1024;

// Where a handler runs: on the connection's loop, or on a thread of the export's BlockingPool.
enum class Place { kLoop, kPool };

// What a READ or an OPEN has got without waiting, kept for when it goes on in the pool.
struct PartialRead {
  bool begun = false;
  OpenReservation reservation;       // of an OPEN
  std::shared_ptr<OpenFile> opened;  // by an OPEN
  Buffer data;
  std::size_t filled = 0;       // bytes of `data` that are there
  wire::Attributes attributes;  // from before any of them was read
};

struct Call {
  std::shared_ptr<Session> session;
  proto::FrameHeader header;
  std::vector<std::byte> meta;
  Buffer payload;
  BufferPool* buffers = nullptr;  // of the server
  std::size_t charge = 0;         // bytes that count against its connection until the reply does
  PartialRead partial;
  Recalls recalls;  // leases of others that the call has ended, or that keep it from being done

  FileStore& store() const { return *session->share().store; }
};

// What is done with one type of message.
struct Handler {
  proto::MessageType type{};
  // Its reply is not kept: a retry executes again.
  bool idempotent = false;
  // Never touches the store.
  bool trivial = false;
  // It may have to wait for a call of those that block others, and then does that in the pool.
  bool waits_for_others = false;
  // Others may have to wait for it when it runs in the pool (BlockingPool::Blocker).
  bool blocks_others = false;
  // Is this its request table?
  bool (*verify)(std::span<const std::byte> meta) = nullptr;
  Result<Reply> (*run)(Call& call, Place place) = nullptr;
};

// nullptr for a type that no session may send (Hello is the connection's own).
const Handler* find_handler(proto::MessageType type);

// Runs `handler`. EROFS when it changes the export (proto::changes_export()) and the session may
// not. EAGAIN on the loop: it is to be run in the pool. kLeaseHeld: it is to be run again once
// call.recalls are answered.
Result<Reply> run_handler(const Handler& handler, Call& call, Place place);

// The payload that went with the kept reply `meta` of an OPEN: it is read again.
Buffer replay_open_payload(Call& call, const proto::MetaBuffer& meta);

}  // namespace foliofs::server
