// Call: one request while it executes, and the table of handlers that execute requests.
//
// A handler runs first on the loop that owns the connection, where it must not wait long. If it has
// to wait, it does nothing and returns EAGAIN; the server then runs it again in the export's pool.
// The handler validates what the client sent; an error that it returns becomes an ErrorReply.
#pragma once

#include <memory>
#include <vector>

#include "server/reply.h"
#include "server/session.h"

namespace foliofs::server {

// How many bytes the reply of an OPEN carries at most.
inline constexpr std::uint32_t kMaxOpenReadBytes = 128 * 1024;

// Where a handler runs: on the connection's loop, or on a thread of the export's BlockingPool.
enum class Place { kLoop, kPool };

// What a READ or an OPEN has got without waiting, kept until the handler goes on in the pool.
struct PartialRead {
  bool begun = false;
  OpenReservation reservation;       // of an OPEN
  std::shared_ptr<OpenFile> opened;  // by an OPEN
  Buffer data;
  std::size_t filled = 0;       // bytes of `data` that have been read
  wire::Attributes attributes;  // taken before any byte was read
};

struct Call {
  std::shared_ptr<Session> session;
  proto::FrameHeader header;
  std::vector<std::byte> meta;
  Buffer payload;
  BufferPool* buffers = nullptr;  // of the server
  std::size_t charge = 0;         // bytes counted against its connection until its reply is counted
  PartialRead partial;
  Recalls recalls;  // other sessions' leases that the call has ended, or that block it

  FileStore& store() const { return *session->share().store; }
};

// How one type of message is handled.
struct Handler {
  proto::MessageType type{};
  // The reply is not kept: a retry executes again.
  bool idempotent = false;
  // Never touches the store.
  bool trivial = false;
  // May have to wait for a call that blocks others; while such a call runs, goes to the pool.
  bool waits_for_others = false;
  // Other calls may have to wait for this one when it runs in the pool (BlockingPool::Blocker).
  bool blocks_others = false;
  // Whether `meta` is a valid table of this request.
  bool (*verify)(std::span<const std::byte> meta) = nullptr;
  Result<Reply> (*run)(Call& call, Place place) = nullptr;
};

// nullptr for a type that no session may send (Hello is the connection's own).
const Handler* find_handler(proto::MessageType type);

// Runs `handler`. EROFS when it changes the export (proto::changes_export()) and the session is
// read-only. EAGAIN on the loop: the caller must run it in the pool, unless it is trivial.
// kLeaseHeld: the caller must run it again once call.recalls are answered.
Result<Reply> run_handler(const Handler& handler, Call& call, Place place);

// The payload that went with the kept reply `meta` of an OPEN; reads it from the file again.
Buffer replay_open_payload(Call& call, const proto::MetaBuffer& meta);

}  // namespace foliofs::server
