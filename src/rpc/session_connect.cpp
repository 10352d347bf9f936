// How a session connects, and what each new connection means for its calls.

#include <algorithm>
#include <utility>

#include "foliofs/base/limits.h"
#include "foliofs/base/log.h"
#include "session_impl.h"

namespace foliofs::rpc {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kConnectTimeout = seconds(10);
constexpr Duration kGreetTimeout = seconds(10);
constexpr Duration kFirstBackoff = milliseconds(50);
constexpr Duration kLongestBackoff = seconds(2);
// After an answer that is not likely to change soon: no such export, another version.
constexpr Duration kRefusedBackoff = seconds(10);
// When a connection that has lasted at least this long is lost, the session reconnects at once.
constexpr Duration kGoodConnection = seconds(1);

constexpr std::size_t kSessionIdBytes = 16;

bool is_refusal(Errno error) {
  return error == Errno(ENOENT) || error == Errno(EPROTONOSUPPORT);
}

}  // namespace

Task<void> Session::Impl::keep_connected() {
  while (!closing_) {
    co_await serve();
    if (!closing_) co_await reconnect();
  }
  calls_.drop_all(Errno(ENOTCONN));
}

// REQUIRES: link_ has exchanged Hello and the reply was adopted. Returns when the link has broken
// and was destroyed.
Task<void> Session::Impl::serve() {
  state_ = ConnectionState::kConnected;
  link_loops_ = 2;
  launch("rpc sender", loop_of_link(link_->send()));
  launch("rpc receiver", loop_of_link(link_->receive()));
  while (link_loops_ > 0) co_await changed_.wait();

  const TimePoint now = clock_.now();
  quiet_since_ = calls_.live() > 0 ? heard_at() : now;
  state_ = ConnectionState::kDisconnected;
  ++stats_.disconnects;
  if (closing_) {
    calls_.drop_all(Errno(ENOTCONN));
  } else {
    log_warn("connection to the server lost ({}), {} calls wait", errno_name(link_->reason()),
             calls_.live());
    if (now - link_up_at_ >= kGoodConnection) {
      backoff_ = Duration::zero();
    } else {
      note_backoff(link_->reason());
    }
    if (events_.connection_lost) events_.connection_lost();
  }
  link_.reset();
}

Task<void> Session::Impl::loop_of_link(Task<void> loop) {
  co_await std::move(loop);
  --link_loops_;
  changed_.wake_all();
}

Task<void> Session::Impl::reconnect() {
  logged_error_.reset();
  while (!closing_) {
    co_await wait_backoff();
    if (closing_) co_return;
    auto connected = co_await connect_once();
    if (connected) co_return;
    link_.reset();
    if (closing_) co_return;
    if (logged_error_ != connected.error()) {
      logged_error_ = connected.error();
      log_warn("cannot connect to the server ({}{}{}), trying again", errno_name(connected.error()),
               error_text_.empty() ? "" : ": ", error_text_);
    }
    note_backoff(connected.error());
  }
}

void Session::Impl::note_backoff(Errno error) {
  backoff_ = is_refusal(error) ? kRefusedBackoff
                               : std::clamp(2 * backoff_, kFirstBackoff, kLongestBackoff);
}

Task<void> Session::Impl::wait_backoff() {
  if (backoff_ == Duration::zero()) co_return;
  retry_.set(backoff_, [this] { changed_.wake_all(); });
  while (retry_.is_set() && !closing_) co_await changed_.wait();
  retry_.cancel();
}

// One attempt: dial, greet, resume or begin. On success link_ exists and is not served yet.
Task<Status> Session::Impl::connect_once() {
  error_text_.clear();
  auto transport = co_await dial_and_wait();
  if (!transport) co_return transport.error();
  Notices notices;
  notices.lock_granted = [this](std::uint64_t waiter) {
    if (events_.lock_granted) events_.lock_granted(waiter);
  };
  notices.leases_recalled = [this](wire::LeasesRecalledT recalled) {
    if (events_.leases_recalled) events_.leases_recalled(std::move(recalled));
  };
  notices.opens_wanted = [this] {
    if (events_.opens_wanted) events_.opens_wanted();
  };
  link_ = std::make_unique<Link>(std::move(transport.value()), clock_, calls_, std::move(notices));

  wire::HelloRequestT request;
  request.version = proto::kVersion;
  request.export_name = options_.export_name;
  request.client_name = options_.client_name;
  request.session = session_id_;
  request.slots = std::clamp<std::uint32_t>(options_.slots, 1, kMaxSlots);
  request.read_only = options_.read_only;
  if (options_.wants_leases) request.features = proto::kFeatureLeases;

  greeting_.set(kGreetTimeout, [this] { link_->break_off(Errno(ETIMEDOUT)); });
  auto reply = co_await link_->greet(request, error_text_);
  greeting_.cancel();
  if (link_->is_broken()) co_return link_->reason();
  if (!reply) co_return reply.error();
  if (reply.value().version != proto::kVersion) co_return Errno(EPROTONOSUPPORT);
  auto adopted = adopt(std::move(reply.value()), !session_id_.empty());
  if (!adopted) co_return adopted.error();
  link_up_at_ = clock_.now();
  ++stats_.connects;
  co_return success();
}

Task<Result<std::unique_ptr<Transport>>> Session::Impl::dial_and_wait() {
  dial_ = std::make_shared<Dial>();
  dial_->session = this;
  spawn(executor_, "rpc dial", dial(connector_, dial_));
  while (!dial_->result && !closing_) co_await changed_.wait();
  dial_->session = nullptr;
  auto finished = std::exchange(dial_, nullptr);
  if (closing_ || !finished->result) co_return Errno(ENOTCONN);
  co_return std::move(*finished->result);
}

Task<void> Session::Impl::dial(Connector& connector, std::shared_ptr<Dial> dial) {
  // If the session was closed before this began, the connector may be gone and is not touched.
  if (dial->session == nullptr) co_return;
  auto result = co_await connector.connect(kConnectTimeout);
  if (dial->session == nullptr) co_return;
  dial->result.emplace(std::move(result));
  dial->session->changed_.wake_all();
}

Status Session::Impl::adopt(wire::HelloReplyT reply, bool asked_to_resume) {
  if (!reply.resumed) return begin_session(std::move(reply));
  if (!asked_to_resume || !calls_.can_resume(reply.slot_sequences)) {
    log_error("the server's idea of the session does not fit ours: beginning another");
    session_id_.clear();
    return Errno(EPROTO);
  }
  const std::uint64_t replays_before = stats_.replays;
  calls_.resume(reply.slot_sequences);
  log_info("session resumed, {} requests sent again", stats_.replays - replays_before);
  return success();
}

Status Session::Impl::begin_session(wire::HelloReplyT reply) {
  if (reply.session.size() != kSessionIdBytes || reply.slots == 0 || reply.max_payload == 0 ||
      reply.root.empty() || reply.root.size() > kMaxHandleBytes || !reply.root_attributes) {
    return Errno(EPROTO);
  }
  const auto asked = std::clamp<std::uint32_t>(options_.slots, 1, kMaxSlots);
  reply.slots = std::min(reply.slots, asked);
  reply.max_payload = std::min(reply.max_payload, kMaxPayloadBytes);
  if (incarnation_ > 0) log_warn("the server has forgotten the session: a new one is begun");
  session_id_ = reply.session;
  hello_ = std::move(reply);
  ++incarnation_;
  ++stats_.sessions;
  calls_.begin_session(hello_.slots, incarnation_);
  if (started_) idle_.set(keep_alive_interval(), [this] { on_idle(); });
  if (incarnation_ > 1 && events_.session_renewed) events_.session_renewed();
  return success();
}

}  // namespace foliofs::rpc
