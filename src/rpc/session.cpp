// The session as its callers see it: calls, deadlines, keep-alive, the end. How it connects, and
// what a new connection means, is in session_connect.cpp.
#include "foliofs/rpc/session.h"

#include <algorithm>
#include <utility>

#include "foliofs/base/limits.h"
#include "session_impl.h"

namespace foliofs::rpc {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTick = milliseconds(250);
// How long a request of Urgency::kSoon waits for another.
constexpr Duration kLinger = milliseconds(1);
// When the server owes replies and is silent, the session sends a ping after kProbeAfter and breaks
// the connection after kDropAfter.
constexpr Duration kProbeAfter = seconds(5);
constexpr Duration kDropAfter = seconds(15);
// kDropAfter is extended by the time that the largest unanswered request takes at this speed.
constexpr std::int64_t kSlowestBytesPerSecond = 32 << 10;
// close() waits this long for the reply to BYE, and then breaks the connection.
constexpr Duration kFarewell = milliseconds(1500);
constexpr Duration kShortestKeepAlive = seconds(1);
constexpr Duration kLongestKeepAlive = seconds(60);

}  // namespace

Session::Impl::Impl(Executor executor, Clock& clock, Connector& connector, SessionOptions options)
    : executor_(std::move(executor)),
      clock_(clock),
      connector_(connector),
      options_(std::move(options)),
      calls_(clock, stats_),
      tick_(executor_, clock),
      linger_(executor_, clock),
      idle_(executor_, clock),
      retry_(executor_, clock),
      greeting_(executor_, clock),
      farewell_(executor_, clock) {
  calls_.tell_late([this](proto::MessageType type, const Result<RawReply>& reply) {
    if (events_.answered_late) events_.answered_late(type, reply);
  });
}

Session::Impl::~Impl() {
  if (dial_ != nullptr) dial_->session = nullptr;
}

void Session::Impl::launch(std::string_view name, Task<void> task) {
  ++tasks_;
  spawn(executor_, name, counted(std::move(task)));
}

Task<void> Session::Impl::counted(Task<void> task) {
  co_await std::move(task);
  task_ended();
}

void Session::Impl::task_ended() {
  if (--tasks_ == 0) ended_.wake_all();
}

Task<Status> Session::Impl::start() {
  if (started_ || closing_) co_return Errno(closing_ ? ENOTCONN : EALREADY);
  ++tasks_;
  auto connected = co_await connect_once();
  if (connected && !closing_) {
    started_ = true;
    launch("rpc session", keep_connected());
    idle_.set(keep_alive_interval(), [this] { on_idle(); });
  } else {
    link_.reset();
    if (connected) connected = Errno(ENOTCONN);
  }
  task_ended();
  co_return connected;
}

Task<Result<RawReply>> Session::Impl::exchange(proto::MessageType type, proto::MetaBuffer meta,
                                               Payload payload, std::uint64_t incarnation,
                                               Urgency urgency) {
  if (!started_ || closing_) co_return Errno(ENOTCONN);
  if (incarnation != 0 && incarnation != incarnation_) co_return kSessionLost;
  Call call(type, std::move(meta), payload, incarnation);
  if (call.meta.size() > kMaxMetaBytes || call.send_bytes > proto::max_request_payload(type)) {
    co_return Errno(EMSGSIZE);
  }
  call.urgency = urgency;
  const bool first = calls_.live() == 0;
  const bool kept_slot = urgency == Urgency::kServerWaits && calls_.submit_reserved(call);
  if (!kept_slot) calls_.submit(call);
  if (first) quiet_since_ = std::max(quiet_since_, call.started);
  if (urgency == Urgency::kSoon && !linger_.is_set()) {
    linger_.set(kLinger, [this] { calls_.work().wake_one(); });
  }
  watch();
  // From here on the session must not be touched.
  if (call.state != CallState::kDone) co_await call.completion.wait();
  co_return std::move(call.result);
}

// --- Deadlines -------------------------------------------------------------------------------

void Session::Impl::watch() {
  if (!tick_.is_set()) tick_.set(kTick, [this] { on_tick(); });
}

TimePoint Session::Impl::heard_at() const {
  // Until link_up_at_ a link has received only the reply to Hello, which does not count.
  if (state_ != ConnectionState::kConnected || link_->heard_at() <= link_up_at_)
    return quiet_since_;
  return std::max(quiet_since_, link_->heard_at());
}

void Session::Impl::on_tick() {
  const TimePoint now = clock_.now();
  quiet_since_ = heard_at();
  if (!options_.hard && now - quiet_since_ >= options_.timeout_us) {
    const bool pinned = calls_.expire(now - options_.timeout_us);
    // The caller of a pinned call cannot return while the transport still uses its memory.
    if (pinned && link_ != nullptr) link_->break_off(Errno(ETIMEDOUT));
  }
  if (calls_.live() == 0) return;
  probe_silence(now);
  watch();
}

void Session::Impl::probe_silence(TimePoint now) {
  if (state_ != ConnectionState::kConnected || link_->is_broken()) return;
  const Duration silence = now - std::max(quiet_since_, link_up_at_);
  if (silence < kProbeAfter) return;
  start_ping();
  const auto slow_bytes = static_cast<std::int64_t>(calls_.largest_unanswered_bytes());
  const Duration allowance =
      std::chrono::duration_cast<Duration>(seconds(slow_bytes)) / kSlowestBytesPerSecond;
  if (silence >= kDropAfter + allowance) link_->break_off(Errno(ETIMEDOUT));
}

void Session::Impl::start_ping() {
  if (pinging_) return;
  pinging_ = true;
  launch("rpc ping", ping());
}

Task<void> Session::Impl::ping() {
  Call call(proto::MessageType::kPing, proto::encode(wire::PingRequestT()), Payload{}, 0);
  const bool first = calls_.live() == 0;
  if (!closing_ && calls_.submit_reserved(call)) {
    if (first) quiet_since_ = std::max(quiet_since_, call.started);
    watch();
    if (call.state != CallState::kDone) co_await call.completion.wait();
  }
  pinging_ = false;
}

Duration Session::Impl::keep_alive_interval() const {
  const auto third = Duration(static_cast<std::int64_t>(
      std::min<std::uint64_t>(hello_.grace_us / 3, kLongestKeepAlive.count())));
  const Duration usual = std::max(third, kShortestKeepAlive);
  return gives_leases() ? std::min<Duration>(usual, kLeaseSilence / 3) : usual;
}

void Session::Impl::on_idle() {
  const Duration interval = keep_alive_interval();
  const bool connected = state_ == ConnectionState::kConnected;
  const Duration silence = connected ? clock_.now() - link_->heard_at() : Duration::zero();
  if (connected && silence >= interval) start_ping();
  if (gives_leases() && silence >= kLeaseSilence && events_.out_of_touch) events_.out_of_touch();
  idle_.set(interval, [this] { on_idle(); });
}

Duration Session::Impl::silent_for() const {
  const bool down = started_ && state_ == ConnectionState::kDisconnected;
  if (calls_.live() == 0 && !down) return Duration::zero();
  return clock_.now() - heard_at();
}

// --- The end ---------------------------------------------------------------------------------

Task<void> Session::Impl::close() {
  const bool first = !std::exchange(closing_, true);
  if (first) {
    tick_.cancel();
    linger_.cancel();
    idle_.cancel();
    calls_.drop_all(Errno(ENOTCONN));
    farewell_.set(kFarewell, [this] {
      if (link_ != nullptr) link_->break_off(Errno(ETIMEDOUT));
    });
    if (state_ == ConnectionState::kConnected && !link_->is_broken()) co_await say_goodbye();
    if (link_ != nullptr) link_->break_off(Errno(ENOTCONN));
    changed_.wake_all();
  }
  while (tasks_ > 0) co_await ended_.wait();
  farewell_.cancel();
  state_ = ConnectionState::kClosed;
}

// Returns when the server has answered or the link has broken.
Task<void> Session::Impl::say_goodbye() {
  Call bye(proto::MessageType::kBye, proto::encode(wire::ByeRequestT()), Payload{}, 0);
  if (!calls_.submit_reserved(bye)) {
    // Other calls have the reserved slots, perhaps abandoned ones; a free slot will do. If none is
    // free, the session ends at the server when its grace time is over.
    if (!calls_.submit_if_free(bye)) co_return;
  }
  if (bye.state != CallState::kDone) co_await bye.completion.wait();
}

// --- Session ---------------------------------------------------------------------------------

Session::Session(Executor executor, Clock& clock, Connector& connector, SessionOptions options)
    : impl_(std::make_unique<Impl>(std::move(executor), clock, connector, std::move(options))) {}

Session::~Session() = default;

Task<Status> Session::start() {
  return impl_->start();
}

const std::string& Session::start_error_text() const {
  return impl_->error_text();
}

const wire::HelloReplyT& Session::hello() const {
  return impl_->hello();
}

std::uint64_t Session::incarnation() const {
  return impl_->incarnation();
}

Task<Result<RawReply>> Session::exchange(proto::MessageType type, proto::MetaBuffer meta,
                                         Payload payload, std::uint64_t incarnation,
                                         Urgency urgency) {
  return impl_->exchange(type, std::move(meta), payload, incarnation, urgency);
}

void Session::set_timeout(std::chrono::microseconds timeout_us, bool hard) {
  impl_->set_timeout(timeout_us, hard);
}

void Session::set_events(SessionEvents events) {
  impl_->set_events(std::move(events));
}

Task<void> Session::close() {
  return impl_->close();
}

ConnectionState Session::state() const {
  return impl_->state();
}

std::chrono::microseconds Session::silent_for_us() const {
  return impl_->silent_for();
}

const RpcStats& Session::stats() const {
  return impl_->stats();
}

}  // namespace foliofs::rpc
