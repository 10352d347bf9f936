#include "call_table.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace foliofs::rpc {

namespace {

bool has_precedence(const Call& call) {
  return call.urgency == Urgency::kOthersWait || call.urgency == Urgency::kServerWaits;
}

bool by_request_id(const Call& a, const Call& b) {
  return a.request_id < b.request_id;
}

}  // namespace

template <class Visit>
void CallTable::for_each_in_slot(Visit visit) const {
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (Call* call = slots_.call(slot)) visit(*call);
  }
}

CallTable::~CallTable() {
  std::vector<Call*> calls;
  for_each_in_slot([&](Call& call) { calls.push_back(&call); });
  for (Call& call : waiting_) calls.push_back(&call);
  for (Call& call : held_) calls.push_back(&call);
  waiting_.clear();
  queued_.clear();
  held_.clear();
  for (Call* call : calls) call->completion.drop();
}

void CallTable::begin_session(std::uint32_t slots, std::uint64_t incarnation) {
  CallList again;
  std::vector<Call*> lost;
  auto sort_out = [&](Call& call) {
    const bool bound_elsewhere = call.incarnation != 0 && call.incarnation != incarnation;
    if (call.maybe_executed || bound_elsewhere) {
      lost.push_back(&call);
    } else {
      call.state = CallState::kNew;
      if (call.urgency == Urgency::kSoon) call.urgency = Urgency::kNow;
      again.push_back(call);
    }
  };
  queued_.clear();
  for_each_in_slot(sort_out);
  again.sort(by_request_id);
  waiting_.clear_and_dispose([&](Call* call) { sort_out(*call); });

  incarnation_ = incarnation;
  slots_.reset(slots);
  for (Call* call : lost) done(*call, kSessionLost);
  again.clear_and_dispose([this](Call* call) { place(*call); });
}

void CallTable::resume(std::span<const std::uint32_t> sequences) {
  for_each_in_slot([&](Call& call) {
    call.maybe_executed = sequences[call.slot] == call.sequence;
    if (call.orphan && !call.maybe_executed) return drop(call, Errno(ETIMEDOUT));
    if (call.state != CallState::kSent) return;
    call.state = CallState::kQueued;
    queued_.push_back(call);
    ++stats_.replays;
  });
  queued_.sort(by_request_id);
  slots_.adopt(sequences);
  serve_waiting();
}

void CallTable::submit(Call& call) {
  admit(call);
  place(call);
}

void CallTable::admit(Call& call) {
  call.started = clock_.now();
  ++stats_.in_flight;
}

void CallTable::place(Call& call) {
  if (waiting_.empty() && slots_.take(call)) return queue(call);
  if (has_precedence(call) && slots_.take_for_others(call)) return queue(call);
  call.state = CallState::kWaiting;
  if (has_precedence(call)) {
    waiting_.insert(std::find_if_not(waiting_.begin(), waiting_.end(), has_precedence), call);
    return;
  }
  call.urgency = Urgency::kNow;  // once it has a slot
  waiting_.push_back(call);
}

bool CallTable::submit_reserved(Call& call) {
  if (!slots_.take_reserved(call)) return false;
  admit(call);
  queue(call);
  return true;
}

bool CallTable::submit_if_free(Call& call) {
  if (!slots_.take(call)) return false;
  admit(call);
  queue(call);
  return true;
}

void CallTable::queue(Call& call) {
  call.state = CallState::kQueued;
  queued_.push_back(call);
  if (call.urgency != Urgency::kSoon) work_.wake_one();
}

void CallTable::serve_waiting() {
  while (!waiting_.empty()) {
    Call& call = waiting_.front();
    const bool taken = slots_.take(call) || (has_precedence(call) && slots_.take_for_others(call));
    if (!taken) return;
    waiting_.pop_front();
    queue(call);
  }
}

Call* CallTable::next_to_send() {
  if (queued_.empty()) return nullptr;
  Call& call = queued_.front();
  queued_.pop_front();
  call.state = CallState::kSent;
  call.maybe_executed = true;
  pin(call);
  return &call;
}

CallTable::Owner CallTable::find(std::uint64_t request_id, Call*& call) const {
  const auto slot = slots_.find(request_id);
  call = slot ? slots_.call(*slot) : nullptr;
  if (!slot) return Owner::kNobody;
  return call != nullptr ? Owner::kCall : Owner::kAbandoned;
}

void CallTable::answered(Call& call, Result<RawReply> result) {
  slots_.release(call.slot);
  if (result) result.value().incarnation = incarnation_;
  if (call.orphan && late_) late_(call.type, result);
  done(call, std::move(result));
  serve_waiting();
}

void CallTable::answered_abandoned(std::uint64_t request_id) {
  const auto slot = slots_.find(request_id);
  if (!slot || slots_.call(*slot) != nullptr) return;
  slots_.release(*slot);
  serve_waiting();
}

void CallTable::unpin(Call& call) {
  if (--call.pins > 0 || call.state != CallState::kDone) return;
  held_.erase(held_.iterator_to(call));
  let_go(call);
}

void CallTable::drop(Call& call, Errno error) {
  if (call.state == CallState::kWaiting) waiting_.erase(waiting_.iterator_to(call));
  if (call.state == CallState::kQueued) queued_.erase(queued_.iterator_to(call));
  if (call.state != CallState::kWaiting) slots_.abandon(call.slot);
  done(call, error);
}

void CallTable::drop_all(Errno error) {
  while (!waiting_.empty()) drop(waiting_.front(), error);
  for_each_in_slot([&](Call& call) { drop(call, error); });
}

bool CallTable::expire(TimePoint cutoff) {
  std::vector<Call*> late;
  for (Call& call : waiting_) {
    if (call.started <= cutoff) late.push_back(&call);
  }
  bool any_pinned = false;
  for_each_in_slot([&](Call& call) {
    if (call.orphan || call.started > cutoff) return;
    late.push_back(&call);
    any_pinned = any_pinned || call.pins > 0;
  });
  for (Call* call : late) {
    give_up(*call);
    done(*call, Errno(ETIMEDOUT));
  }
  serve_waiting();
  return any_pinned;
}

void CallTable::give_up(Call& call) {
  if (call.state == CallState::kWaiting) {
    waiting_.erase(waiting_.iterator_to(call));
  } else if (call.maybe_executed) {
    leave_orphan(call);
  } else {
    queued_.erase(queued_.iterator_to(call));
    slots_.give_back(call.slot);
  }
}

void CallTable::leave_orphan(Call& call) {
  auto orphan = std::make_unique<Call>(call.type, std::move(call.meta), Payload{}, 0);
  orphan->orphan = true;
  orphan->maybe_executed = true;
  orphan->state = call.state;
  orphan->slot = call.slot;
  orphan->sequence = call.sequence;
  orphan->request_id = call.request_id;
  slots_.replace(call.slot, *orphan);
  if (call.state == CallState::kQueued) {
    queued_.insert(queued_.iterator_to(call), *orphan);
    queued_.erase(queued_.iterator_to(call));
  }
  orphans_.push_back(std::move(orphan));
}

std::size_t CallTable::largest_unanswered_bytes() const {
  std::size_t largest = 0;
  for_each_in_slot([&](Call& call) { largest = std::max(largest, call.send_bytes); });
  return largest;
}

void CallTable::done(Call& call, Result<RawReply> result) {
  call.state = CallState::kDone;
  call.result = std::move(result);
  if (!call.orphan) count(call);
  if (call.pins > 0) {
    held_.push_back(call);
  } else {
    let_go(call);
  }
}

void CallTable::count(const Call& call) {
  --stats_.in_flight;
  CallStats& stats = stats_.calls[call.type];
  stats.record(clock_.now() - call.started);
  stats.bytes_sent += call.send_bytes;
  if (call.result) {
    stats.bytes_received += call.result.value().payload_bytes;
  } else {
    ++stats.errors;
  }
}

void CallTable::let_go(Call& call) {
  if (!call.orphan) return call.completion.signal();
  std::erase_if(orphans_, [&](const auto& orphan) { return orphan.get() == &call; });
}

}  // namespace foliofs::rpc
