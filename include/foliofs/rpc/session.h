// Session: the client's side of a session with a server. It outlives its connections.
//
// A call takes a free slot, gives it the next sequence number and waits for the reply. When the
// connection breaks, the session connects again, resumes, and sends what was not answered once
// more with the same slot and sequence, so that the server runs it exactly once. Calls do not
// notice, except that they take longer.
//
// When the server no longer knows the session (it was restarted, or the grace time is over), a new
// one is begun: `incarnation()` grows, opens of the old one are gone, and every call that was
// waiting for a reply fails with kSessionLost. What to do then is the caller's knowledge.
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

// The call may or may not have been executed by a session that is gone. Never leaves the client:
// whoever calls the session maps it (vfs retries or answers EIO).
inline constexpr Errno kSessionLost{EREMCHG};

struct SessionOptions {
  std::string export_name;
  std::string client_name;
  bool read_only = false;
  std::uint32_t slots = 128;
  bool wants_leases = false;
  // How long a call waits for an answer while the server is away or silent, before it fails with
  // ETIMEDOUT; with `hard` it waits for ever. Time during which the server says anything else does
  // not count: a server that is slow is not away.
  std::chrono::microseconds timeout_us = std::chrono::seconds(60);
  bool hard = false;
};

// What one call sends beside its metadata, and where the payload of its reply goes. The memory
// belongs to the caller and must stay until the call returns.
struct Payload {
  std::span<const iovec> send;
  std::span<const iovec> receive;
};

// With fewer slots than this none is kept back for kOthersWait.
inline constexpr std::uint32_t kSlotsForOthers = 8;

// When a request leaves, and in which slot.
enum class Urgency {
  kNow,
  // With the next one that leaves, a millisecond later at most: saves a system call and a wake-up
  // on either side.
  kSoon,
  // Others wait for it, perhaps all that we have under way. When no slot is free it gets the last
  // but one, which is kept back for it.
  kOthersWait,
  // The server waits for it. It gets the last slot, which is kept back for it, or else any that
  // kOthersWait may have.
  kServerWaits,
};

struct RawReply {
  std::vector<std::byte> meta;
  std::uint32_t payload_bytes = 0;  // how much of Payload::receive was filled
  std::uint64_t incarnation = 0;    // of the session that has answered, to which its opens belong
};

// What happens to a session unasked. Called on its loop, must not block; may be empty.
struct SessionEvents {
  // The server has granted the lock for which this waiter waits.
  std::function<void(std::uint64_t waiter)> lock_granted;
  std::function<void(wire::LeasesRecalledT recalled)> leases_recalled;
  // The server has answered what a caller has given up waiting for.
  std::function<void(proto::MessageType type, const Result<RawReply>& reply)> answered_late;
  // The server runs out of room for opens: those that nobody uses are to be closed.
  std::function<void()> opens_wanted;
  // Nothing has been heard from the server for kLeaseSilence, although it is asked again and again.
  // Only of a server that gives leases; an idle one is asked for a sign of life several times in
  // that time. Comes again while it lasts.
  std::function<void()> out_of_touch;
  // A connection is gone, and with it perhaps what the server has told over it. Calls that are made
  // now go out over the next one.
  std::function<void()> connection_lost;
  // The server has forgotten the session: what it held open and locked is gone.
  std::function<void()> session_renewed;
};

// The reply to a `Request`, as a table.
template <class Request>
using ReplyTo = Result<typename proto::Message<Request>::Reply::NativeTableType>;

// That of an exchange. EPROTO when it is not what it should be.
template <class Request>
Task<ReplyTo<Request>> decode_reply(Task<Result<RawReply>> exchange) {
  auto reply = co_await std::move(exchange);
  if (!reply) co_return reply.error();
  co_return proto::decode<typename proto::Message<Request>::Reply>(reply.value().meta);
}

enum class ConnectionState { kConnecting, kConnected, kDisconnected, kClosed };

class Session {
 public:
  // `clock` and `connector` must outlive the session. The session is closed before it is destroyed,
  // or its loop does not run again afterwards; the loop itself outlives it.
  Session(Executor executor, Clock& clock, Connector& connector, SessionOptions options);
  ~Session();

  // Connects and begins the session, once; fails at once instead of trying again.
  // EPROTONOSUPPORT: another version. ENOENT: no such export. Else what the connector said.
  // `start_error_text()` then has the server's own words, or an empty string.
  Task<Status> start();
  const std::string& start_error_text() const;

  // What the server said when the present session was begun. REQUIRES: start() has succeeded.
  const wire::HelloReplyT& hello() const;

  // Grows with every new session; never 0 after start().
  std::uint64_t incarnation() const;

  // One request, one reply. Errors: the server's errno unchanged; ETIMEDOUT when the server was
  // away too long (soft); kSessionLost; EPROTO when the reply is not what it should be; EMSGSIZE
  // when the request does not fit into a frame; ENOTCONN before start() and once the session is
  // closed. With `incarnation` not 0 the call is for that incarnation only (it names an open of
  // it), and fails with kSessionLost when that is gone. A timed-out or abandoned call's payload
  // memory is not touched after the return.
  Task<Result<RawReply>> exchange(proto::MessageType type, proto::MetaBuffer meta, Payload payload,
                                  std::uint64_t incarnation = 0, Urgency urgency = Urgency::kNow);

  // The same with tables: `call<wire::LookupRequest>(request)` returns a wire::EntryReplyT.
  template <class Request>
  Task<ReplyTo<Request>> call(const typename Request::NativeTableType& request,
                              std::uint64_t incarnation = 0, Urgency urgency = Urgency::kNow) {
    return decode_reply<Request>(exchange(proto::Message<Request>::kType, proto::encode(request),
                                          Payload{}, incarnation, urgency));
  }

  // SessionOptions' `timeout_us` and `hard` anew, for the calls that wait now as well.
  void set_timeout(std::chrono::microseconds timeout_us, bool hard);

  // What the callbacks refer to must outlive the session; else call set_events({}) first.
  void set_events(SessionEvents events);

  // Says goodbye to the server if it is there, fails what is waiting with ENOTCONN, and ends the
  // session's coroutines. Returns when they have ended. Waits no longer than 2 s.
  Task<void> close();

  ConnectionState state() const;
  // Since when nothing has been heard from the server although something is owed; 0 when all is
  // well. Microseconds.
  std::chrono::microseconds silent_for_us() const;

  const RpcStats& stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace foliofs::rpc
