#include "server/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/random.h"

namespace foliofs::server {

std::string describe(const SessionCounters& counters) {
  return fmt::format("{} requests, {} bytes read, {} bytes written, {} writes by invalidations",
                     counters.requests.load(), counters.bytes_read.load(),
                     counters.bytes_written.load(), counters.invalidation_writes.load());
}

Session::Session(SessionId id, std::uint64_t number, const Export& share, bool read_only,
                 bool wants_leases, std::uint32_t slots, OpenBudget& budget)
    : id_(id),
      number_(number),
      share_(share),
      read_only_(read_only),
      wants_leases_(wants_leases),
      budget_(budget),
      leases_(std::make_shared<LeaseHolder>(number, *share.leases)),
      slots_(slots),
      next_open_(random_value<std::uint64_t>()) {}

// --- The session and its connection -------------------------------------------------------------

bool Session::attach(const SinkRef& sink) {
  SinkRef before;
  {
    std::lock_guard lock(mutex_);
    if (ended_) return false;
    before = std::exchange(sink_, sink);
    // A recall sent over a connection that is gone may be lost with it. So a client that reconnects
    // must return everything before it gets leases again.
    leases_->set_ready(wants_leases_ && !std::exchange(had_connection_, true));
  }
  if (before != nullptr && before != sink) before->fence();
  return true;
}

void Session::detach(const ReplySink* sink, SteadyTime now) {
  SinkRef gone;  // dropped after the lock
  std::lock_guard lock(mutex_);
  if (sink_.get() != sink) return;
  gone = std::exchange(sink_, nullptr);
  disconnected_at_ = now;
  leases_->set_ready(false);
}

bool Session::expire(SteadyTime now, std::chrono::milliseconds grace) {
  constexpr std::chrono::milliseconds kUnusedGrace{5'000};  // it has nothing to lose
  std::lock_guard lock(mutex_);
  if (sink_ != nullptr ||
      now - disconnected_at_ < (used_ ? grace : std::min(grace, kUnusedGrace))) {
    return false;
  }
  ended_ = true;
  return true;
}

std::optional<SteadyTime> Session::idle_since() const {
  std::lock_guard lock(mutex_);
  if (sink_ != nullptr || reserved_opens_ > 0) return std::nullopt;
  return disconnected_at_;
}

bool Session::give_up() {
  std::lock_guard lock(mutex_);
  if (sink_ != nullptr || reserved_opens_ > 0) return false;
  ended_ = true;
  return true;
}

void Session::release_locks_and_leases() {
  {
    // This comes first, so that a LOCK that is executing gives back what it gets after this point
    // (handlers_locks.cpp).
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  share_.locks->end_session(number_);
  leases_->end();
}

void Session::end() {
  release_locks_and_leases();
  std::unordered_map<std::uint64_t, OpenRecord> closing;  // closed after the lock: that may block
  SinkRef gone;
  std::lock_guard lock(mutex_);
  gone = std::exchange(sink_, nullptr);
  closing.swap(opens_);
  reserved_opens_ -= closing.size();
  budget_.used -= closing.size();
}

void Session::end_in_pool(std::shared_ptr<Session> session) {
  session->release_locks_and_leases();
  BlockingPool& pool = *session->share_.pool;
  pool.post([session = std::move(session)] { session->end(); });
}

bool Session::has_ended() const {
  std::lock_guard lock(mutex_);
  return ended_;
}

// --- Slots --------------------------------------------------------------------------------------

std::vector<std::uint32_t> Session::sequences() const {
  std::lock_guard lock(mutex_);
  std::vector<std::uint32_t> sequences;
  sequences.reserve(slots_.size());
  for (const Slot& slot : slots_) sequences.push_back(slot.sequence);
  return sequences;
}

void Session::occupy(Slot& slot, const proto::FrameHeader& header, const SinkRef& sink) {
  slot.sequence = header.sequence;
  slot.busy = true;
  slot.rerouted = false;
  slot.type = header.type;
  slot.request_id = header.request_id;
  slot.waiting = sink;
  slot.kept = nullptr;
}

Admitted Session::admit(const proto::FrameHeader& header, const SinkRef& sink, bool idempotent) {
  std::lock_guard lock(mutex_);
  if (ended_ || sink_ != sink) return {Admission::kFenced, {}, {}};
  Admitted refused;
  if (header.slot >= slots_.size()) {
    refused.why = fmt::format("slot {} of {}", header.slot, slots_.size());
    return refused;
  }
  Slot& slot = slots_[header.slot];
  const bool is_new = header.sequence == slot.sequence + 1;
  if (is_new && slot.busy) {
    refused.why = fmt::format("slot {} is busy", header.slot);
    return refused;
  }
  if (is_new) {
    occupy(slot, header, sink);
    used_ = true;
    ++counters_.requests;
    return {Admission::kExecute, {}, {}};
  }
  if (header.sequence == slot.sequence) return admit_retry(slot, header, sink, idempotent);
  refused.why = fmt::format("sequence {} in slot {}, expected {}", header.sequence, header.slot,
                            slot.sequence + 1);
  return refused;
}

Admitted Session::admit_retry(Slot& slot, const proto::FrameHeader& header, const SinkRef& sink,
                              bool idempotent) {
  Admitted refused;
  refused.why = fmt::format("a retry in slot {} that is none", header.slot);
  if (slot.type != header.type) return refused;
  if (slot.busy) {
    // The reply comes over this connection anyway.
    if (slot.waiting.lock() == sink) return refused;
    slot.rerouted = true;
    slot.request_id = header.request_id;
    slot.waiting = sink;
    return {Admission::kWait, {}, {}};
  }
  if (idempotent) {
    occupy(slot, header, sink);
    return {Admission::kExecute, {}, {}};
  }
  if (slot.kept == nullptr) return refused;
  Admitted replay{Admission::kReplay, {}, {}};
  replay.reply.header = header;
  replay.reply.header.flags = slot.kept_flags;
  replay.reply.header.meta_bytes = static_cast<std::uint32_t>(slot.kept->size());
  replay.reply.header.payload_bytes = 0;
  replay.reply.meta = slot.kept;
  return replay;
}

void Session::complete(Outgoing frame, bool idempotent) {
  SinkRef to;
  {
    std::lock_guard lock(mutex_);
    Slot& slot = slots_[frame.header.slot];
    slot.busy = false;
    slot.kept = idempotent ? nullptr : frame.meta;
    slot.kept_flags = frame.header.flags;
    frame.header.request_id = slot.request_id;
    if (slot.rerouted) frame.charge = 0;
    to = slot.waiting.lock();
    slot.waiting.reset();
    if (to != sink_) to = nullptr;
  }
  if (to != nullptr) to->deliver(std::move(frame));
}

// --- Opens --------------------------------------------------------------------------------------

Result<OpenReservation> Session::reserve_open() {
  std::lock_guard lock(mutex_);
  if (reserved_opens_ >= budget_.per_session) return Errno(EMFILE);
  if (budget_.used.fetch_add(1) >= budget_.total) {
    --budget_.used;
    return Errno(ENFILE);
  }
  ++reserved_opens_;
  return OpenReservation(*this);
}

void Session::release_reservation() {
  std::lock_guard lock(mutex_);
  --reserved_opens_;
  --budget_.used;
}

std::uint64_t Session::add_open(OpenReservation reservation, std::shared_ptr<OpenFile> file,
                                Identity opener) {
  std::lock_guard adding(opening_);
  std::lock_guard lock(mutex_);
  if (next_open_ == 0) ++next_open_;
  const std::uint64_t id = next_open_++;
  // An ended session holds nothing; the client that asked will not get the answer.
  if (ended_) return id;
  opens_.emplace(id, OpenRecord{std::move(file), std::move(opener)});
  reservation.session_ = nullptr;
  return id;
}

Result<OpenRecord> Session::find_open(std::uint64_t id) const {
  std::lock_guard lock(mutex_);
  auto found = opens_.find(id);
  if (found == opens_.end()) return Errno(EBADF);
  return found->second;
}

Result<OpenRecord> Session::take_open(std::uint64_t id) {
  std::lock_guard lock(mutex_);
  auto found = opens_.find(id);
  if (found == opens_.end()) return Errno(EBADF);
  OpenRecord record = std::move(found->second);
  opens_.erase(found);
  --reserved_opens_;
  --budget_.used;
  return record;
}

bool Session::has_open(const FileId& file) const {
  std::lock_guard lock(mutex_);
  return std::any_of(opens_.begin(), opens_.end(),
                     [&](const auto& item) { return item.second.file->id() == file; });
}

// --- Notices ------------------------------------------------------------------------------------

void Session::notify(proto::MessageType type, proto::MetaBuffer meta) {
  Outgoing notice;
  notice.meta = std::make_shared<const proto::MetaBuffer>(std::move(meta));
  notice.header.type = type;
  notice.header.flags = proto::kFlagNotice;
  notice.header.meta_bytes = static_cast<std::uint32_t>(notice.meta->size());
  SinkRef to;
  {
    std::lock_guard lock(mutex_);
    to = sink_;
  }
  if (to != nullptr) to->deliver(std::move(notice));
}

void Session::lock_granted(std::uint64_t waiter) {
  wire::LockGrantedT granted;
  granted.waiter = waiter;
  notify(proto::MessageType::kLockGranted, proto::encode(granted));
}

void Session::ask_for_idle_opens() {
  if (max_idle_opens() == 0) return;
  notify(proto::MessageType::kOpensWanted, proto::encode(wire::OpensWantedT()));
}

void Session::leases_recalled(std::uint64_t recall, const std::vector<RecalledLease>& leases) {
  wire::LeasesRecalledT recalled;
  recalled.recall = recall;
  for (const RecalledLease& lease : leases) {
    auto one = std::make_unique<wire::RecalledLeaseT>();
    one->handle.assign(lease.handle.begin(), lease.handle.end());
    one->names = lease.names;
    one->foreign_changes = lease.counts.foreign;
    one->change_epoch = lease.counts.epoch;
    recalled.leases.push_back(std::move(one));
  }
  notify(proto::MessageType::kLeasesRecalled, proto::encode(recalled));
}

void Session::all_leases_recalled() {
  wire::LeasesRecalledT recalled;
  recalled.everything = true;
  notify(proto::MessageType::kLeasesRecalled, proto::encode(recalled));
}

}  // namespace foliofs::server
