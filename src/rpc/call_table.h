// CallTable: every call of a session that is not done, and what becomes of each when it is sent,
// answered, too late, or when the session is resumed or lost. Counts them in RpcStats.
//
// A caller that gives up leaves an orphan behind when the server may have taken its request: a call
// without a caller and without a payload, which keeps the slot until its answer has come. After a
// reconnect it is sent again as any other, because the server would refuse a new request in a slot
// in which it still executes the old one. (It never executes a retry twice, so the payload is not
// missed.)
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
  // Destroys the callers that still wait; their loop must not run again.
  ~CallTable();
  CallTable(const CallTable&) = delete;
  CallTable& operator=(const CallTable&) = delete;

  // Told of each request that was answered after its caller had given up.
  void tell_late(Late late) { late_ = std::move(late); }

  // How many calls are not done.
  std::uint64_t live() const { return stats_.in_flight; }

  // A new session with so many slots. What may have been executed by the one before, or is bound
  // to another incarnation, fails with kSessionLost; the rest is queued again.
  void begin_session(std::uint32_t slots, std::uint64_t incarnation);
  bool can_resume(std::span<const std::uint32_t> sequences) const {
    return slots_.agrees_with(sequences);
  }
  // Queues again what was sent and not answered. REQUIRES: can_resume(sequences).
  void resume(std::span<const std::uint32_t> sequences);

  // Queues the call, or lets it wait for a slot.
  void submit(Call& call);
  // In a slot that is kept back. False, and nothing done: none is free.
  bool submit_reserved(Call& call);
  // In any other that is free. False, and nothing done: none is.
  bool submit_if_free(Call& call);

  // The sender: the next call to send, pinned, or nullptr; and where to wait for one.
  Call* next_to_send();
  WaitQueue& work() { return work_; }
  // The receiver: whose reply this is.
  enum class Owner { kCall, kAbandoned, kNobody };
  Owner find(std::uint64_t request_id, Call*& call) const;
  void answered(Call& call, Result<RawReply> result);
  void answered_abandoned(std::uint64_t request_id);

  static void pin(Call& call) { ++call.pins; }
  void unpin(Call& call);

  // Fails a call, and forgets that its request was ever sent: what the server makes of it does not
  // matter any more.
  void drop(Call& call, Errno error);
  void drop_all(Errno error);
  // Fails with ETIMEDOUT every call that started at `cutoff` or before. True when one of them
  // is pinned: its caller stays until sender and receiver let go of its memory, and the link must
  // be broken at once.
  bool expire(TimePoint cutoff);
  // The payload bytes of the largest request that waits for its reply.
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
  CallList waiting_;  // for a slot; first those that may have one that is kept back
  CallList queued_;   // have one, are to be sent
  CallList held_;     // done, but pinned
  std::vector<std::unique_ptr<Call>> orphans_;
  WaitQueue work_;
  Late late_;
};

}  // namespace foliofs::rpc
