// SlotTable: the slots of a session, their sequence numbers, and which call is in which.
//
// A slot: free → taken (by a call) → free, or taken → abandoned (nobody waits for the answer any
// more, but it may come) → free. Knows nothing of connections, queues or time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "call.h"

namespace foliofs::rpc {

class SlotTable {
 public:
  // All slots free, sequences at 0: a session that has just begun. From two slots on the last one
  // is kept back for what the server waits for, pings and the goodbye, and from kSlotsForOthers on
  // the one before for what others wait for. REQUIRES: 1 <= slots <= kMaxSlots.
  void reset(std::uint32_t slots);

  std::uint32_t size() const { return static_cast<std::uint32_t>(slots_.size()); }

  // Gives `call` a free slot, its next sequence number and a request id. False: none is free.
  bool take(Call& call);
  // The same with a slot that is kept back: the last one, or the one before where that is kept back
  // too. With one slot, as take().
  bool take_reserved(Call& call);
  // The same with the one before the last, where it is kept back.
  bool take_for_others(Call& call);

  // The slot is free: the call was answered.
  void release(std::uint32_t slot);
  // The call was never sent: its sequence number is used again.
  void give_back(std::uint32_t slot);
  // The call is gone, the slot stays taken until the server has answered or adopt().
  void abandon(std::uint32_t slot);
  // `call` goes on in place of the slot's call, with its sequence and request id.
  void replace(std::uint32_t slot, Call& call) { slots_[slot].call = &call; }

  // The slot that `request_id` has now, if any. Its call() is nullptr when abandoned.
  std::optional<std::uint32_t> find(std::uint64_t request_id) const;
  Call* call(std::uint32_t slot) const { return slots_[slot].call; }

  // Whether a server whose slots are at `sequences` can take over: for each call either it has the
  // call's sequence or the one before.
  bool agrees_with(std::span<const std::uint32_t> sequences) const;
  // Slots without a call take the server's sequence and are free.
  // REQUIRES: agrees_with(sequences).
  void adopt(std::span<const std::uint32_t> sequences);

 private:
  struct Slot {
    Call* call = nullptr;
    bool taken = false;
    std::uint32_t sequence = 0;  // of the last call in it; wraps
    std::uint64_t request_id = 0;
  };

  void occupy(std::uint32_t slot, Call& call);
  bool is_reserved(std::uint32_t slot) const {
    return slot > 0 && slot + (size() < kSlotsForOthers ? 1 : 2) >= size();
  }

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;  // the one used last is taken first: it is warm on both ends
  std::uint64_t next_request_ = 1;
};

}  // namespace foliofs::rpc
