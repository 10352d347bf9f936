// Link: one connection of a session, from its Hello until it breaks.
//
// Two coroutines serve it: one gathers queued calls into few writes, the other takes replies. Any
// error that either finds ends the link. The calls stay in the CallTable, and the link's owner
// decides what to do with them. A link does not connect, wait or try again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "call_table.h"
#include "foliofs/base/clock.h"
#include "foliofs/base/result.h"
#include "foliofs/base/task.h"
#include "foliofs/proto/messages.h"
#include "foliofs/rpc/transport.h"
#include "frame_reader.h"

namespace foliofs::rpc {

// Callbacks for the notices that the server sends; each may be empty.
struct Notices {
  std::function<void(std::uint64_t waiter)> lock_granted;
  std::function<void(wire::LeasesRecalledT recalled)> leases_recalled;
  std::function<void()> opens_wanted;
};

class Link {
 public:
  // `clock`, `calls` and what `notices` refer to must outlive the link.
  Link(std::unique_ptr<Transport> transport, Clock& clock, CallTable& calls, Notices notices = {});

  // Sends Hello and returns the reply. Errors: the server's (its words go to `error_text`), the
  // transport's, EPROTO. REQUIRES: send() and receive() have not been started.
  Task<Result<wire::HelloReplyT>> greet(const wire::HelloRequestT& request,
                                        std::string& error_text);

  // Send calls and take replies until the link breaks. The link must outlive both coroutines.
  Task<void> send();
  Task<void> receive();

  // Ends the link: send() and receive() return soon. Only the first reason is kept.
  void break_off(Errno reason);
  bool is_broken() const { return broken_; }
  Errno reason() const { return reason_; }

  // When anything last came in over this link.
  TimePoint heard_at() const { return reader_.heard_at(); }
  // How many replies have come over this link.
  std::uint64_t replies() const { return replies_; }

 private:
  std::size_t gather();
  Task<Status> receive_all();
  Task<Status> receive_notice(proto::FrameHeader header);
  Status take_notice(proto::MessageType type, std::span<const std::byte> meta);
  void receive_staged(const proto::FrameHeader& header, Call* call);
  Task<Status> receive_long(const proto::FrameHeader& header, Call* call);
  Result<Call*> owner_of(const proto::FrameHeader& header);

  std::unique_ptr<Transport> transport_;
  CallTable& calls_;
  const Notices notices_;
  FrameReader reader_;
  std::vector<iovec> vectors_;  // of the write under way
  std::vector<Call*> batch_;    // the calls whose memory that write uses; pinned
  bool broken_ = false;
  Errno reason_ = Errno(ECONNRESET);
  std::uint64_t replies_ = 0;
};

}  // namespace foliofs::rpc
