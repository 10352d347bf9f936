// Connection: HELLO, which begins or resumes a session.
#include <fmt/format.h>

#include <boost/asio/redirect_error.hpp>

#include "foliofs/base/log.h"
#include "server/connection.h"

namespace foliofs::server {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMaxClientNameBytes = 128;

// The client's name for the log: shortened and made printable.
std::string log_name(std::string name) {
  name.resize(std::min(name.size(), kMaxClientNameBytes));
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return c < 32 || c == 127; }, '?');
  return name;
}

Result<wire::Attributes> root_attributes(const Session& session) {
  FileStore& store = *session.share().store;
  const SquashRule& squash = session.share().options.squash;
  const Identity nobody{squash.anon_uid, squash.anon_gid, {}};
  const CallContext context{nobody, session.number()};
  return store.attributes(context, store.root());
}

}  // namespace

void Connection::arm_deadline(std::string why) {
  deadline_.expires_after(services_.hello_timeout);
  deadline_.async_wait([weak = weak_from_this(), why = std::move(why),
                        armed = ++deadlines_](boost::system::error_code error) {
    auto self = weak.lock();
    if (error || self == nullptr || self->deadlines_ != armed) return;
    if (self->why_.empty()) self->why_ = why;
    self->close();
  });
}

Task<Result<wire::Attributes>> Connection::look_at_root() {
  if (!session_->share().store->remote()) co_return root_attributes(*session_);
  auto found = std::make_shared<std::optional<Result<wire::Attributes>>>();
  session_->share().pool->post([self = shared_from_this(), session = session_, found] {
    auto attributes = root_attributes(*session);
    asio::post(self->socket_.get_executor(), [self, found, attributes] {
      *found = attributes;
      self->progress_.wake_all();
    });
  });
  while (!found->has_value() && socket_.is_open()) co_await progress_.wait();
  co_return found->value_or(Errno(ECONNRESET));
}

Task<Status> Connection::answer_hello() {
  // Ends a client that sends nothing, and one that does not hang up after a refusal.
  arm_deadline("no hello in time");
  auto frame = co_await receive();
  if (!frame) co_return frame.error();
  const proto::FrameHeader header = frame.value().header;
  auto hello = proto::decode<wire::HelloRequest>(frame.value().meta);
  if (!hello) co_return violation("hello with metadata that is garbage");
  const wire::HelloRequestT& request = hello.value();

  if (request.version != proto::kVersion) {
    auto text = fmt::format("this server speaks protocol version {}, the client version {}",
                            proto::kVersion, request.version);
    co_return co_await refuse(header, Errno(EPROTONOSUPPORT), std::move(text));
  }
  auto found = services_.exports.find(request.export_name);
  if (found == services_.exports.end()) {
    auto text = fmt::format("no export \"{}\" on this server", log_name(request.export_name));
    co_return co_await refuse(header, Errno(ENOENT), std::move(text));
  }
  auto begun = begin_session(found->second, request);
  if (!begun) co_return co_await refuse(header, begun.error(), "the session cannot be had");
  auto root = co_await look_at_root();
  if (!root) co_return co_await refuse(header, root.error(), "the export's root is out of reach");
  ++deadlines_;
  deadline_.cancel();
  hello_answered_ = true;
  enqueue(hello_reply(header, root.value(), begun.value()));
  co_return success();
}

// Sends the reason and waits for the client to hang up: closing with the client's bytes unread
// could lose our reply.
Task<Status> Connection::refuse(proto::FrameHeader hello, Errno error, std::string text) {
  why_ = "refused: " + text;
  enqueue(make_frame(hello, make_error(error, text)));
  co_await until_sent();
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  boost::system::error_code ended;
  auto token = asio::redirect_error(asio::use_awaitable, ended);
  while (!ended) co_await socket_.async_read_some(asio::buffer(input_), token);
  co_return error;
}

Result<bool> Connection::begin_session(const Export& share, const wire::HelloRequestT& hello) {
  const std::string client = log_name(hello.client_name);
  if (!hello.session.empty()) {
    auto known = services_.sessions.find(hello.session);
    if (known != nullptr && &known->share() != &share) return Errno(EINVAL);
    if (known != nullptr && known->attach(shared_from_this())) {
      session_ = std::move(known);
      log_info("session {} resumed by {} at {}", session_->number(), client, peer_);
      return true;
    }
    share.locks->expect_reclaims();
  }
  const std::uint32_t wanted = hello.slots == 0 ? kDefaultSlots : hello.slots;
  const bool read_only = share.options.read_only || hello.read_only;
  const bool wants_leases = (hello.features & proto::kFeatureLeases) != 0;
  BOOST_OUTCOME_TRY(auto session, services_.sessions.begin(share, read_only, wants_leases,
                                                           std::min(wanted, kMaxSlots)));
  if (!session->attach(shared_from_this())) return Errno(EBUSY);
  session_ = std::move(session);
  log_info("session {} begun by {} at {} on export {}{}", session_->number(), client, peer_,
           share.options.name, read_only ? ", read-only" : "");
  return false;
}

Outgoing Connection::hello_reply(const proto::FrameHeader& header, const wire::Attributes& root,
                                 bool resumed) const {
  wire::HelloReplyT reply;
  reply.version = proto::kVersion;
  if (session_->wants_leases()) reply.features = proto::kFeatureLeases;
  reply.session.assign(session_->id().begin(), session_->id().end());
  reply.resumed = resumed;
  reply.slots = session_->slots();
  reply.max_payload = kMaxPayloadBytes;
  const Handle handle = session_->share().store->root();
  reply.root.assign(handle.begin(), handle.end());
  reply.root_attributes = std::make_unique<wire::Attributes>(root);
  reply.read_only = session_->read_only();
  reply.server_name = "foliofsd " FOLIOFS_VERSION;
  reply.grace_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(services_.grace).count());
  reply.write_verifier = services_.write_verifier;
  reply.idle_opens = session_->max_idle_opens();
  if (resumed) reply.slot_sequences = session_->sequences();
  return make_frame(header, make_reply(proto::encode(reply)));
}

}  // namespace foliofs::server
