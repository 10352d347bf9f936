// SlotTable: the slots of a session, their sequence numbers, and which call is in which slot.
//
// A slot: free → taken (by a call) → free, or taken → abandoned (no caller waits for the answer any
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
  // All slots are free and all sequences 0, as in a session that has just begun. With at least two
  // slots, the last one is reserved for requests that the server waits for, pings and BYE. With at
  // least kSlotsForOthers, the one before is reserved for requests that others wait for.
  // REQUIRES: 1 <= slots <= kMaxSlots.
  void reset(std::uint32_t slots);

  std::uint32_t size() const { return static_cast<std::uint32_t>(slots_.size()); }

  // Gives `call` a free slot that is not reserved, that slot's next sequence number and a request
  // id. False: none is free.
  bool take(Call& call);
  // The same with a reserved slot: the last one, or the one before if that is reserved too. With
  // only one slot, as take().
  bool take_reserved(Call& call);
  // The same with the slot before the last, if that is reserved.
  bool take_for_others(Call& call);

  // The call was answered: frees the slot.
  void release(std::uint32_t slot);
  // The call was never sent: frees the slot, and its sequence number is used again.
  void give_back(std::uint32_t slot);
  // The call is gone; the slot stays taken until release() or adopt().
  void abandon(std::uint32_t slot);
  // `call` takes the place of the slot's call, with its sequence and request id.
  void replace(std::uint32_t slot, Call& call) { slots_[slot].call = &call; }

  // The slot that `request_id` has taken, if any. Its call() is nullptr when abandoned.
  std::optional<std::uint32_t> find(std::uint64_t request_id) const;
  Call* call(std::uint32_t slot) const { return slots_[slot].call; }

  // Whether the session can resume at a server whose slots are at `sequences`: in the slot of each
  // call the server must have the call's sequence or the one before.
  bool agrees_with(std::span<const std::uint32_t> sequences) const;
  // Slots without a call take the server's sequence and become free.
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
  // Not reserved ones. The one used last is taken first, because it is in the caches on both ends.
  std::vector<std::uint32_t> free_;
  std::uint64_t next_request_ = 1;
};

}  // namespace foliofs::rpc
