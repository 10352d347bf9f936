// Session: the client's side of a session with a server. It outlives its connections.
//
// A call takes a free slot and the slot's next sequence number, and waits for the reply. When the
// connection breaks, the session connects again, resumes, and sends every unanswered request once
// more with the same slot and sequence number, so that the server executes it exactly once. Callers
// notice only that the call takes longer.
//
// When the server does not know the session any more (it was restarted, or the grace time is over),
// a new one begins: `incarnation()` grows, the opens of the old one are gone, and every call that
// may have been executed, or is bound to the old one, fails with kSessionLost. It is for its caller
// to know what to do then.
//
// Single-threaded: all use is on the loop of the executor.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foliofs/base/clock.h"
#include "foliofs/base/result.h"
#include "foliofs/base/task.h"
#include "foliofs/proto/messages.h"
#include "foliofs/rpc/stats.h"
#include "foliofs/rpc/transport.h"

namespace foliofs::rpc {

// The call belonged to a session that is gone, and may have been executed there. Never leaves the
// client: the session's caller maps it (vfs retries or answers EIO).
inline constexpr Errno kSessionLost{EREMCHG};

struct SessionOptions {
  std::string export_name;
  std::string client_name;
  bool read_only = false;
  std::uint32_t slots = 128;
  bool wants_leases = false;
  // How long a call waits for an answer while the server is away or silent, before it fails with
  // ETIMEDOUT; with `hard` it waits for ever. While the server sends anything else the time does
  // not count: a slow server is not away.
  std::chrono::microseconds timeout_us = std::chrono::seconds(60);
  bool hard = false;
};

// The payload of a call, and where the payload of its reply goes. The memory belongs to the caller
// and must stay until the call returns.
struct Payload {
  std::span<const iovec> send;
  std::span<const iovec> receive;
};

// With fewer slots than this none is reserved for kOthersWait.
inline constexpr std::uint32_t kSlotsForOthers = 8;

// When a request is sent, and in which slot.
enum class Urgency {
  kNow,
  // Together with the next request, but a millisecond later at most. This saves a system call and a
  // wake-up on either side.
  kSoon,
  // Other requests wait for this one, perhaps all that are under way. When no slot is free it gets
  // the last but one, which is reserved for this.
  kOthersWait,
  // The server waits for it. It gets the last slot, which is reserved for this, or otherwise any
  // that kOthersWait may have.
  kServerWaits,
};

struct RawReply {
  std::vector<std::byte> meta;
  std::uint32_t payload_bytes = 0;  // how much of Payload::receive was filled
  std::uint64_t incarnation = 0;    // of the session that has answered, to which its opens belong
};

// Callbacks for events that no call has asked for. They run on the session's loop and must not
// block; each may be empty.
struct SessionEvents {
  // The server has granted the lock for which this waiter waits.
  std::function<void(std::uint64_t waiter)> lock_granted;
  std::function<void(wire::LeasesRecalledT recalled)> leases_recalled;
  // The server has answered a request after its caller gave up waiting.
  std::function<void(proto::MessageType type, const Result<RawReply>& reply)> answered_late;
  // The server is running out of room for opens: the client is to close those that no program uses.
  std::function<void()> opens_wanted;
  // The server has sent nothing for kLeaseSilence, although this session has pinged it several
  // times meanwhile. Only for a server that gives leases. Called again while the silence lasts.
  std::function<void()> out_of_touch;
  // A connection is gone, and with it perhaps notices that the server has sent. Calls made from now
  // on are sent over the next connection.
  std::function<void()> connection_lost;
  // The server has forgotten the session, and with it the session's opens and locks.
  std::function<void()> session_renewed;
};

// The reply to a `Request`, as an unpacked table.
template <class Request>
using ReplyTo = Result<typename proto::Message<Request>::Reply::NativeTableType>;

// Decodes the reply of `exchange`. EPROTO when it is not the table that `Request` is answered with.
template <class Request>
Task<ReplyTo<Request>> decode_reply(Task<Result<RawReply>> exchange) {
  auto reply = co_await std::move(exchange);
  if (!reply) co_return reply.error();
  co_return proto::decode<typename proto::Message<Request>::Reply>(reply.value().meta);
}

enum class ConnectionState { kConnecting, kConnected, kDisconnected, kClosed };

class Session {
 public:
  // `clock`, `connector` and the loop must outlive the session. Close it before it is destroyed,
  // unless the loop does not run again afterwards.
  Session(Executor executor, Clock& clock, Connector& connector, SessionOptions options);
  ~Session();

  // Connects and begins the session. Call it once; it makes one attempt only.
  // EPROTONOSUPPORT: another version. ENOENT: no such export. Otherwise the server's or the
  // connector's error. `start_error_text()` then has the server's own words, or is empty.
  Task<Status> start();
  const std::string& start_error_text() const;

  // The server's reply when the present session began. REQUIRES: start() has succeeded.
  const wire::HelloReplyT& hello() const;

  // Grows with every new session; never 0 after start().
  std::uint64_t incarnation() const;

  // One request, one reply. Errors: the server's errno unchanged; ETIMEDOUT when the server was
  // away too long (not if `hard`); kSessionLost; EPROTO when the reply is malformed; EMSGSIZE when
  // the request does not fit into a frame; ENOTCONN before start() and once the session is closed.
  // With `incarnation` not 0 the call is for that incarnation only, because it names one of its
  // opens, and fails with kSessionLost when that is gone. The memory of the payload is not touched
  // after the return, whatever the result.
  Task<Result<RawReply>> exchange(proto::MessageType type, proto::MetaBuffer meta, Payload payload,
                                  std::uint64_t incarnation = 0, Urgency urgency = Urgency::kNow);

  // The same with tables: `call<wire::LookupRequest>(request)` returns a wire::EntryReplyT.
  template <class Request>
  Task<ReplyTo<Request>> call(const typename Request::NativeTableType& request,
                              std::uint64_t incarnation = 0, Urgency urgency = Urgency::kNow) {
    return decode_reply<Request>(exchange(proto::Message<Request>::kType, proto::encode(request),
                                          Payload{}, incarnation, urgency));
  }

  // Replaces `timeout_us` and `hard` of SessionOptions, for calls under way as well.
  void set_timeout(std::chrono::microseconds timeout_us, bool hard);

  // What the callbacks refer to must outlive the session; otherwise call set_events({}) first.
  void set_events(SessionEvents events);

  // Fails all calls under way with ENOTCONN, sends BYE if there is a connection, and ends the
  // session's coroutines. Returns when they have ended. Waits no longer than 2 s.
  Task<void> close();

  ConnectionState state() const;
  // For how long the server has been silent although it owes a reply, or the connection is lost; 0
  // when neither is so.
  std::chrono::microseconds silent_for_us() const;

  const RpcStats& stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace foliofs::rpc
