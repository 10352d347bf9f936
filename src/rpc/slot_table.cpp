#include "slot_table.h"

#include "foliofs/base/limits.h"

namespace foliofs::rpc {

namespace {

// A request id is a counter, with the slot in its low bits.
constexpr std::uint64_t kSlotBits = 8;
constexpr std::uint64_t kSlotMask = (1u << kSlotBits) - 1;
static_assert(kMaxSlots <= kSlotMask + 1);

}  // namespace

void SlotTable::reset(std::uint32_t slots) {
  slots_.assign(slots, Slot{});
  free_.clear();
  for (std::uint32_t slot = slots; slot-- > 0;) {
    if (!is_reserved(slot)) free_.push_back(slot);
  }
}

bool SlotTable::take(Call& call) {
  if (free_.empty()) return false;
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  occupy(slot, call);
  return true;
}

bool SlotTable::take_reserved(Call& call) {
  if (slots_.empty()) return false;
  if (!is_reserved(size() - 1)) return take(call);
  for (std::uint32_t slot = size() - 1; is_reserved(slot); --slot) {
    if (slots_[slot].taken) continue;
    occupy(slot, call);
    return true;
  }
  return false;
}

bool SlotTable::take_for_others(Call& call) {
  if (size() < kSlotsForOthers || slots_[size() - 2].taken) return false;
  occupy(size() - 2, call);
  return true;
}

void SlotTable::occupy(std::uint32_t slot, Call& call) {
  Slot& taken = slots_[slot];
  taken.call = &call;
  taken.taken = true;
  call.slot = slot;
  call.sequence = ++taken.sequence;
  call.request_id = taken.request_id = (next_request_++ << kSlotBits) | slot;
}

void SlotTable::release(std::uint32_t slot) {
  slots_[slot].call = nullptr;
  slots_[slot].taken = false;
  if (!is_reserved(slot)) free_.push_back(slot);
}

void SlotTable::give_back(std::uint32_t slot) {
  --slots_[slot].sequence;
  release(slot);
}

void SlotTable::abandon(std::uint32_t slot) {
  slots_[slot].call = nullptr;
}

std::optional<std::uint32_t> SlotTable::find(std::uint64_t request_id) const {
  const auto slot = static_cast<std::uint32_t>(request_id & kSlotMask);
  if (slot >= size() || !slots_[slot].taken || slots_[slot].request_id != request_id) return {};
  return slot;
}

bool SlotTable::agrees_with(std::span<const std::uint32_t> sequences) const {
  if (sequences.size() < slots_.size()) return false;
  for (std::uint32_t i = 0; i < size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.call == nullptr) continue;
    if (sequences[i] != slot.sequence && sequences[i] != slot.sequence - 1) return false;
  }
  return true;
}

void SlotTable::adopt(std::span<const std::uint32_t> sequences) {
  for (std::uint32_t i = 0; i < size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.call != nullptr) continue;
    slot.sequence = sequences[i];
    if (slot.taken) release(i);
  }
}

}  // namespace foliofs::rpc
