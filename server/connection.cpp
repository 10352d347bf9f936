#include "server/connection.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <optional>

#include "foliofs/base/limits.h"
#include "foliofs/base/log.h"

namespace foliofs::server {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kInputBytes = 32 << 10;
// The metadata of requests is small: groups and one symlink target are the most.
constexpr std::uint32_t kMaxRequestMetaBytes = 64 * 1024;
// What a connection's requests and unsent replies may hold before the server stops reading from it.
constexpr std::size_t kMaxHeldBytes = 64u << 20;
// What a request or a reply takes in addition to its bytes.
constexpr std::size_t kFrameOverhead = 1024;

// What a request holds until its reply exists.
std::size_t charge_of(const Call& call) {
  std::size_t charge = kFrameOverhead + call.meta.size() + call.payload.capacity();
  const auto* bytes = call.meta.data();
  switch (call.header.type) {
    case proto::MessageType::kRead: {
      const std::uint32_t length = flatbuffers::GetRoot<wire::ReadRequest>(bytes)->length();
      return charge + BufferPool::capacity_for(std::min(length, kMaxPayloadBytes));
    }
    case proto::MessageType::kOpen: {
      const std::uint32_t length = flatbuffers::GetRoot<wire::OpenRequest>(bytes)->read_bytes();
      return charge + BufferPool::capacity_for(std::min(length, kMaxOpenReadBytes));
    }
    case proto::MessageType::kReadDir: {
      // Twice, because the builder doubles its buffer when it grows.
      const std::uint32_t most = flatbuffers::GetRoot<wire::ReadDirRequest>(bytes)->max_bytes();
      return charge + 2 * std::size_t{std::min(most, kMaxMetaBytes)};
    }
    case proto::MessageType::kGetXattr:
    case proto::MessageType::kListXattr:
      return charge + BufferPool::capacity_for(kMaxXattrBytes);
    default:
      return charge;
  }
}

// What a reply holds until it has been sent. The builder of its metadata may have taken twice the
// bytes.
std::size_t held_by(const Outgoing& frame) {
  return kFrameOverhead + 2 * std::size_t{frame.header.meta_bytes} + frame.payload.capacity();
}

// Calls with the same key do not run at the same time in the pool: two WRITEs would only spin for
// the lock of their file.
std::optional<std::uint64_t> turn_key_of(const Call& call) {
  if (call.header.type != proto::MessageType::kWrite) return std::nullopt;
  return flatbuffers::GetRoot<wire::WriteRequest>(call.meta.data())->open_id();
}

std::string describe_peer(const Connection::Socket& socket) {
  boost::system::error_code error;
  const auto peer = socket.remote_endpoint(error);
  return error ? "?" : fmt::format("{}:{}", peer.address().to_string(), peer.port());
}

}  // namespace

Connection::Connection(Socket socket, Services& services)
    : socket_(std::move(socket)),
      services_(services),
      deadline_(socket_.get_executor()),
      peer_(describe_peer(socket_)),
      input_(kInputBytes) {}

// --- Life ---------------------------------------------------------------------------------------

Task<void> Connection::serve(std::shared_ptr<Connection> self) {
  self->reading_ = true;
  const PendingConnections::Ticket ticket = self->services_.pending.add(self);
  Status status = co_await self->answer_hello();
  self->services_.pending.remove(ticket);
  while (status && !self->bye_) {
    auto frame = co_await self->receive();
    status = frame ? self->handle(std::move(frame.value())) : frame.error();
  }
  self->reading_ = false;
  if (!self->why_.empty()) log_warn("connection from {} ended: {}", self->peer_, self->why_);
  if (self->bye_) {
    self->arm_deadline("it does not take the last replies");
    co_await self->until_sent();
  }
  self->close();
  if (self->session_ != nullptr) {
    self->session_->detach(self.get(), std::chrono::steady_clock::now());
  }
}

void Connection::close() {
  boost::system::error_code ignored;
  ++deadlines_;
  deadline_.cancel();
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
  progress_.wake_all();
}

void Connection::fence() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    log_debug("connection from {} gives way to another", self->peer_);
    self->close();
  });
}

Errno Connection::violation(std::string why) {
  why_ = std::move(why);
  return Errno(EPROTO);
}

// --- Reading ------------------------------------------------------------------------------------

Task<Result<Connection::Frame>> Connection::receive() {
  proto::HeaderBytes head;
  const std::span<std::byte> head_bytes(head);
  if (const std::size_t got = take_buffered(head_bytes); got < head.size()) {
    const auto rest = head_bytes.subspan(got);
    Status status = co_await read_rest(rest);
    if (!status) co_return status.error();
  }
  auto header = check_header(head);
  if (!header) co_return header.error();
  co_await until_room();

  Frame frame;
  frame.header = header.value();
  frame.meta.resize(frame.header.meta_bytes);
  const std::span<std::byte> meta(frame.meta);
  if (const std::size_t got = take_buffered(meta); got < meta.size()) {
    const auto rest = meta.subspan(got);
    Status status = co_await read_rest(rest);
    if (!status) co_return status.error();
  }
  if (frame.header.payload_bytes == 0) co_return frame;
  frame.payload = services_.buffers.take(frame.header.payload_bytes);
  const std::span<std::byte> payload = frame.payload.bytes();
  if (const std::size_t got = take_buffered(payload); got < payload.size()) {
    const auto rest = payload.subspan(got);
    Status status = co_await read_rest(rest);
    if (!status) co_return status.error();
  }
  co_return frame;
}

Result<proto::FrameHeader> Connection::check_header(const proto::HeaderBytes& bytes) {
  auto decoded = proto::decode_header(bytes);
  if (!decoded) return violation("a frame that is garbage or too long");
  const proto::FrameHeader& header = decoded.value();
  const char* name = proto::message_name(header.type);
  if (header.flags != 0) return violation(fmt::format("a reply to {} that nobody asked", name));
  if (header.meta_bytes > kMaxRequestMetaBytes) {
    return violation(fmt::format("{} with {} bytes of metadata", name, header.meta_bytes));
  }
  if (header.payload_bytes > proto::max_request_payload(header.type)) {
    return violation(fmt::format("{} with {} bytes of payload", name, header.payload_bytes));
  }
  const bool is_hello = header.type == proto::MessageType::kHello;
  if (session_ == nullptr && !is_hello) return violation(fmt::format("{} before hello", name));
  if (session_ != nullptr && is_hello) return violation("a second hello");
  return header;
}

std::size_t Connection::take_buffered(std::span<std::byte> into) {
  const std::size_t count = std::min(into.size(), input_end_ - input_begin_);
  if (count > 0) std::memcpy(into.data(), input_.data() + input_begin_, count);
  input_begin_ += count;
  return count;
}

// REQUIRES: nothing is buffered.
Task<Status> Connection::read_rest(std::span<std::byte> rest) {
  reading_ = false;
  flush();
  boost::system::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  // Large data is read straight into its place; small data is read together with what follows it.
  while (!error && !rest.empty()) {
    if (rest.size() >= kInputBytes) {
      rest = rest.subspan(
          co_await socket_.async_read_some(asio::buffer(rest.data(), rest.size()), token));
      continue;
    }
    input_begin_ = 0;
    input_end_ = co_await socket_.async_read_some(asio::buffer(input_), token);
    rest = rest.subspan(take_buffered(rest));
  }
  reading_ = true;
  if (error) co_return Errno(ECONNRESET);
  co_return success();
}

Task<void> Connection::until_room() {
  if (held_bytes_ <= kMaxHeldBytes) co_return;
  reading_ = false;
  flush();
  while (held_bytes_ > kMaxHeldBytes && socket_.is_open()) co_await progress_.wait();
  reading_ = true;
}

// --- Requests -----------------------------------------------------------------------------------

Status Connection::handle(Frame frame) {
  const Handler* handler = find_handler(frame.header.type);
  const char* name = proto::message_name(frame.header.type);
  if (handler == nullptr || !handler->verify(frame.meta)) {
    return violation(fmt::format("{} with metadata that is garbage", name));
  }
  Admitted admitted = session_->admit(frame.header, shared_from_this(), handler->idempotent);
  if (admitted.admission == Admission::kFenced) return Errno(ECONNABORTED);
  if (admitted.admission == Admission::kOutOfOrder) {
    return violation(fmt::format("{} out of sequence: {}", name, admitted.why));
  }
  if (admitted.admission == Admission::kWait) return success();

  auto call = std::make_shared<Call>();
  call->session = session_;
  call->header = frame.header;
  call->meta = std::move(frame.meta);
  call->payload = std::move(frame.payload);
  call->buffers = &services_.buffers;
  if (admitted.admission == Admission::kReplay) {
    replay(std::move(admitted.reply), std::move(call));
    return success();
  }
  bye_ = frame.header.type == proto::MessageType::kBye;
  execute(*handler, std::move(call));
  if (bye_) {
    log_info("session {} ended by its client: {}", session_->number(),
             describe(session_->counters()));
    services_.sessions.remove(session_->id());
    Session::end_in_pool(std::move(session_));
  }
  return success();
}

void Connection::execute(const Handler& handler, std::shared_ptr<Call> call) {
  call->charge = charge_of(*call);
  held_bytes_ += call->charge;
  const Export& share = call->session->share();
  BlockingPool& pool = *share.pool;
  const bool here = handler.trivial ||
                    !(share.store->remote() || (handler.waits_for_others && pool.has_blockers()));
  if (here) {
    auto result = run_handler(handler, *call, Place::kLoop);
    // A handler that never waits means it when it answers EAGAIN: a lock is held by somebody else.
    if (result || result.error() != Errno(EAGAIN) || handler.trivial) {
      finish(handler, call, std::move(result), weak_from_this());
      return;
    }
  }
  auto blocker = handler.blocks_others ? BlockingPool::Blocker(pool) : BlockingPool::Blocker();
  const std::optional<std::uint64_t> turn_key = turn_key_of(*call);
  auto work = [&handler, from = weak_from_this(), call = std::move(call),
               blocker = std::move(blocker)]() mutable {
    auto result = run_handler(handler, *call, Place::kPool);
    blocker.end();
    finish(handler, call, std::move(result), from);
  };
  if (turn_key) {
    pool.post_in_turn(*turn_key, std::move(work));
  } else {
    pool.post(std::move(work));
  }
}

void Connection::finish(const Handler& handler, const std::shared_ptr<Call>& call,
                        Result<Reply> result, const std::weak_ptr<Connection>& from) {
  if (!result && result.error() == kLeaseHeld) return run_again(handler, call, from);
  Reply reply = result ? std::move(result.value()) : make_error(result.error());
  Outgoing frame = make_frame(call->header, std::move(reply));
  frame.charge = call->charge;
  call->payload = Buffer();
  if (call->recalls.empty()) {
    call->session->complete(std::move(frame), handler.idempotent);
    return;
  }
  charge_less(from, frame);
  auto kept = std::make_shared<Outgoing>(std::move(frame));
  auto done = [&handler, session = call->session, kept] {
    session->complete(std::move(*kept), handler.idempotent);
  };
  call->recalls.send(std::chrono::steady_clock::now(), std::move(done));
}

// The connection goes on counting what the request holds, which is little: requests that name a
// file are small.
void Connection::run_again(const Handler& handler, const std::shared_ptr<Call>& call,
                           const std::weak_ptr<Connection>& from) {
  auto run = [&handler, call, from] {
    finish(handler, call, run_handler(handler, *call, Place::kPool), from);
  };
  Recalls recalls = std::exchange(call->recalls, {});
  recalls.send(std::chrono::steady_clock::now(),
               [&pool = *call->session->share().pool, run = std::move(run)] { pool.post(run); });
}

// The server stops reading from a connection that holds too much. But the next thing that the
// client has to say there may be that it returns leases for which these same other clients wait.
void Connection::charge_less(const std::weak_ptr<Connection>& from, Outgoing& reply) {
  auto connection = from.lock();
  const std::size_t less = reply.charge - std::min(reply.charge, held_by(reply));
  reply.charge -= less;
  if (connection == nullptr || less == 0) return;
  asio::post(connection->socket_.get_executor(), [connection, less] {
    connection->held_bytes_ -= less;
    connection->progress_.wake_all();
  });
}

void Connection::replay(Outgoing reply, std::shared_ptr<Call> call) {
  if (reply.header.type != proto::MessageType::kOpen || reply.header.is_error()) {
    enqueue(std::move(reply));
    return;
  }
  reply.charge = charge_of(*call);
  held_bytes_ += reply.charge;
  auto shared = std::make_shared<Outgoing>(std::move(reply));
  BlockingPool& pool = *call->session->share().pool;
  pool.post([self = shared_from_this(), shared, call = std::move(call)] {
    shared->payload = replay_open_payload(*call, *shared->meta);
    shared->header.payload_bytes = static_cast<std::uint32_t>(shared->payload.size());
    self->deliver(std::move(*shared));
  });
}

// --- Writing ------------------------------------------------------------------------------------

void Connection::deliver(Outgoing frame) {
  if (socket_.get_executor().running_in_this_thread()) {
    enqueue(std::move(frame));
    return;
  }
  asio::post(socket_.get_executor(),
             [self = shared_from_this(), frame = std::move(frame)]() mutable {
               self->enqueue(std::move(frame));
             });
}

// Other clients wait for what a notice makes this client do, so a notice does not queue behind
// replies, which may be many megabytes. It goes only behind a frame that is partly sent, the reply
// to HELLO, and earlier notices.
std::size_t Connection::queue_position(const proto::FrameHeader& header) const {
  if (!header.is_notice() || output_.empty()) return output_.size();
  const bool first_stays =
      output_sent_ > 0 || output_.front().frame.header.type == proto::MessageType::kHello;
  std::size_t place = first_stays ? 1 : 0;
  while (place < output_.size() && output_[place].frame.header.is_notice()) ++place;
  return place;
}

// Replies that become ready close together are sent together.
void Connection::enqueue(Outgoing frame) {
  held_bytes_ -= frame.charge;
  progress_.wake_all();
  if (!socket_.is_open()) return;
  // A client that has just come back asks anyway, so it needs no notice.
  if (frame.header.is_notice() && !hello_answered_) return;
  const std::size_t held = held_by(frame);
  held_bytes_ += held;
  const proto::HeaderBytes header = proto::encode_header(frame.header);
  const auto place = output_.begin() + static_cast<std::ptrdiff_t>(queue_position(frame.header));
  output_.insert(place, Pending{header, std::move(frame), held});
  if (reading_ || flush_posted_ || draining_) return;
  flush_posted_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (draining_ || output_.empty() || !socket_.is_open()) return;
  if (send_some()) return;
  draining_ = true;
  spawn(socket_.get_executor(), "writer", drain(shared_from_this()));
}

namespace {

// Adds a frame's bytes from `skip` on to `parts`.
template <class Parts>
void append_parts(Parts& parts, std::span<const std::byte> bytes, std::size_t& skip) {
  const std::size_t skipped = std::min(skip, bytes.size());
  skip -= skipped;
  bytes = bytes.subspan(skipped);
  if (!bytes.empty()) parts.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
}

}  // namespace

// True when everything has been sent or the connection is broken; false when the socket is full.
bool Connection::send_some() {
  constexpr std::size_t kMaxParts = 192;
  while (!output_.empty()) {
    boost::container::static_vector<iovec, kMaxParts> parts;
    std::size_t skip = output_sent_;
    for (const Pending& pending : output_) {
      if (parts.size() + 3 > kMaxParts) break;
      append_parts(parts, pending.header, skip);
      const proto::MetaBuffer& meta = *pending.frame.meta;
      append_parts(parts, std::as_bytes(std::span(meta.data(), meta.size())), skip);
      append_parts(parts, pending.frame.payload.bytes(), skip);
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (sent < 0) {
      output_.clear();
      close();
      return true;
    }
    output_sent_ += static_cast<std::size_t>(sent);
    while (!output_.empty()) {
      const Outgoing& first = output_.front().frame;
      const std::size_t bytes =
          proto::kHeaderBytes + first.header.meta_bytes + first.payload.size();
      if (output_sent_ < bytes) break;
      output_sent_ -= bytes;
      held_bytes_ -= output_.front().held;
      output_.pop_front();
    }
    progress_.wake_all();
  }
  return true;
}

Task<void> Connection::drain(std::shared_ptr<Connection> self) {
  boost::system::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  bool sent = false;
  while (!sent && !error && self->socket_.is_open()) {
    co_await self->socket_.async_wait(Socket::wait_write, token);
    if (!error && self->socket_.is_open()) sent = self->send_some();
  }
  self->draining_ = false;
  self->progress_.wake_all();
}

Task<void> Connection::until_sent() {
  flush();
  while (!output_.empty() && socket_.is_open()) co_await progress_.wait();
}

}  // namespace foliofs::server
