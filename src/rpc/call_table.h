// CallTable: all calls of a session that are not done. It decides what happens to each of them when
// it is sent, answered or too late, and when the session is resumed or lost. Counts them in
// RpcStats.
//
// A caller that gives up leaves an orphan behind if the server may have taken its request: a call
// without a caller and without a payload, which keeps the slot until its answer has come. After a
// reconnect the orphan is sent again like any other call, because the server would refuse a new
// request in a slot in which it still executes the old one. (The server does not execute again what
// has a payload, so it does not need that.)
//
// Does no I/O. The sender takes calls from it, the receiver hands replies to it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "call.h"
#include "foliofs/base/clock.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/rpc/stats.h"
#include "slot_table.h"

namespace foliofs::rpc {

class CallTable {
 public:
  using Late = std::function<void(proto::MessageType type, const Result<RawReply>& reply)>;

  CallTable(Clock& clock, RpcStats& stats) : clock_(clock), stats_(stats) {}
  // Destroys the callers that still wait. Their loop must not run again.
  ~CallTable();
  CallTable(const CallTable&) = delete;
  CallTable& operator=(const CallTable&) = delete;

  // `late` is called for each request that is answered after its caller has given up.
  void tell_late(Late late) { late_ = std::move(late); }

  // How many calls are not done.
  std::uint64_t live() const { return stats_.in_flight; }

  // A new session begins, with `slots` slots. Calls that the one before may have executed, and
  // calls bound to another incarnation, fail with kSessionLost; the others are queued again.
  void begin_session(std::uint32_t slots, std::uint64_t incarnation);
  bool can_resume(std::span<const std::uint32_t> sequences) const {
    return slots_.agrees_with(sequences);
  }
  // Queues again the calls that were sent and not answered. REQUIRES: can_resume(sequences).
  void resume(std::span<const std::uint32_t> sequences);

  // Queues the call, or lets it wait for a slot.
  void submit(Call& call);
  // Queues the call in a reserved slot. False, and nothing is done, when none of them is free.
  bool submit_reserved(Call& call);
  // Queues the call in a slot that is not reserved. False, and nothing is done, when none is free.
  bool submit_if_free(Call& call);

  // For the sender: the next call to send, pinned, or nullptr; and where to wait for one.
  Call* next_to_send();
  WaitQueue& work() { return work_; }
  // For the receiver: the call that a reply belongs to, and its result.
  enum class Owner { kCall, kAbandoned, kNobody };
  Owner find(std::uint64_t request_id, Call*& call) const;
  void answered(Call& call, Result<RawReply> result);
  void answered_abandoned(std::uint64_t request_id);

  static void pin(Call& call) { ++call.pins; }
  void unpin(Call& call);

  // Fails a call and abandons its slot, without an orphan: what the server makes of the request
  // does not matter any more.
  void drop(Call& call, Errno error);
  void drop_all(Errno error);
  // Fails with ETIMEDOUT every call that started at `cutoff` or before. True when one of them is
  // pinned: its caller cannot return until the sender and the receiver have let go of its memory,
  // so the link must be broken at once.
  bool expire(TimePoint cutoff);
  // The payload size, in bytes, of the largest request that waits for its reply.
  std::size_t largest_unanswered_bytes() const;

 private:
  void admit(Call& call);
  void place(Call& call);
  void queue(Call& call);
  void give_up(Call& call);
  void leave_orphan(Call& call);
  void done(Call& call, Result<RawReply> result);
  void count(const Call& call);
  void let_go(Call& call);
  void serve_waiting();
  template <class Visit>
  void for_each_in_slot(Visit visit) const;

  Clock& clock_;
  RpcStats& stats_;
  std::uint64_t incarnation_ = 0;
  SlotTable slots_;
  CallList waiting_;  // for a slot; first those that may take a reserved one
  CallList queued_;   // have a slot, are to be sent
  CallList held_;     // done, but pinned
  std::vector<std::unique_ptr<Call>> orphans_;
  WaitQueue work_;
  Late late_;
};

}  // namespace foliofs::rpc
