#include "link.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "foliofs/base/limits.h"

namespace foliofs::rpc {

namespace {

// One gathered write takes frames until it has this much; the last frame may exceed it.
constexpr std::size_t kGatherBytes = 1u << 20;
constexpr std::size_t kGatherVectors = 1024;
// A receiver that always finds something to read lets other coroutines run after this much.
constexpr std::size_t kTurnBytes = 2u << 20;
constexpr int kTurnReplies = 64;
// The same for a sender that never has to wait.
constexpr std::size_t kSendTurnBytes = 256u << 10;
// A notice is about one waiter, or about the few files that one call changes.
constexpr std::uint32_t kMaxNoticeBytes = 16384;
// The largest errno of Linux (MAX_ERRNO).
constexpr std::int32_t kMaxErrno = 4095;

Errno decode_error(std::span<const std::byte> meta, std::string* text) {
  const auto* error = proto::view<wire::ErrorReply>(meta);
  if (error == nullptr || error->errno_value() <= 0 || error->errno_value() > kMaxErrno) {
    return Errno(EPROTO);
  }
  if (text != nullptr && error->text() != nullptr) *text = error->text()->str();
  const Errno value(error->errno_value());
  // kSessionLost has a meaning of its own inside the client, so the server must not cause it.
  return value == kSessionLost ? Errno(EIO) : value;
}

Result<RawReply> to_result(const proto::FrameHeader& header, RawReply reply) {
  if (header.is_error()) return decode_error(reply.meta, nullptr);
  return reply;
}

// The payload that an orphan brings is discarded, so it may have any size.
bool may_bring(const Call& call, std::size_t payload_bytes) {
  return call.orphan || payload_bytes <= call.receive_bytes;
}

void encode_call_header(Call& call) {
  proto::FrameHeader header;
  header.type = call.type;
  header.meta_bytes = static_cast<std::uint32_t>(call.meta.size());
  header.payload_bytes = static_cast<std::uint32_t>(call.send_bytes);
  header.slot = call.slot;
  header.sequence = call.sequence;
  header.request_id = call.request_id;
  call.header = proto::encode_header(header);
}

iovec vector_of(std::span<const std::byte> bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> bytes_of(const proto::MetaBuffer& meta) {
  return std::as_bytes(std::span(meta.data(), meta.size()));
}

}  // namespace

Link::Link(std::unique_ptr<Transport> transport, Clock& clock, CallTable& calls, Notices notices)
    : transport_(std::move(transport)),
      calls_(calls),
      notices_(std::move(notices)),
      reader_(*transport_, clock) {}

void Link::break_off(Errno reason) {
  if (broken_) return;
  broken_ = true;
  reason_ = reason;
  transport_->close();
  calls_.work().wake_all();
}

Task<Result<wire::HelloReplyT>> Link::greet(const wire::HelloRequestT& request,
                                            std::string& error_text) {
  const proto::MetaBuffer meta = proto::encode(request);
  proto::FrameHeader header;
  header.type = proto::MessageType::kHello;
  header.meta_bytes = static_cast<std::uint32_t>(meta.size());
  const proto::HeaderBytes header_bytes = proto::encode_header(header);
  const std::array<iovec, 2> frame{vector_of(header_bytes), vector_of(bytes_of(meta))};
  auto sent = co_await transport_->write_all(frame);
  if (!sent) co_return sent.error();

  auto staged = co_await reader_.stage(proto::kHeaderBytes);
  if (!staged) co_return staged.error();
  auto answer = reader_.take_header();
  if (!answer) co_return answer.error();
  const proto::FrameHeader& reply = answer.value();
  if (!reply.is_reply() || reply.type != proto::MessageType::kHello || reply.payload_bytes > 0 ||
      reply.meta_bytes > FrameReader::kStagingBytes) {
    co_return Errno(EPROTO);
  }
  staged = co_await reader_.stage(reply.meta_bytes);
  if (!staged) co_return staged.error();
  auto reply_meta = reader_.take(reply.meta_bytes);
  if (reply.is_error()) co_return decode_error(reply_meta, &error_text);
  co_return proto::decode<wire::HelloReply>(reply_meta);
}

std::size_t Link::gather() {
  vectors_.clear();
  batch_.clear();
  std::size_t bytes = 0;
  while (bytes < kGatherBytes && vectors_.size() < kGatherVectors) {
    Call* call = calls_.next_to_send();
    if (call == nullptr) break;
    batch_.push_back(call);
    encode_call_header(*call);
    vectors_.push_back(vector_of(call->header));
    vectors_.push_back(vector_of(bytes_of(call->meta)));
    vectors_.insert(vectors_.end(), call->payload.send.begin(), call->payload.send.end());
    bytes += proto::kHeaderBytes + call->meta.size() + call->send_bytes;
  }
  return bytes;
}

Task<void> Link::send() {
  std::size_t turn_bytes = 0;
  while (!broken_) {
    const std::size_t gathered_bytes = gather();
    if (batch_.empty()) {
      co_await calls_.work().wait();
      continue;
    }
    auto written = co_await transport_->write_all(vectors_);
    for (Call* call : batch_) calls_.unpin(*call);
    batch_.clear();
    if (!written) break_off(written.error());
    turn_bytes += gathered_bytes;
    if (turn_bytes < kSendTurnBytes) continue;
    turn_bytes = 0;
    co_await boost::asio::post(boost::asio::use_awaitable);
  }
}

Task<void> Link::receive() {
  auto ended = co_await receive_all();
  break_off(ended.error());
}

// Never returns success.
Task<Status> Link::receive_all() {
  std::size_t turn_bytes = 0;
  int turn_replies = 0;
  while (!broken_) {
    const bool reads = reader_.staged_bytes() < proto::kHeaderBytes;
    const bool turn_over = turn_replies >= kTurnReplies || turn_bytes >= kTurnBytes;
    if (turn_over || (reads && turn_replies > 0)) {
      // Callers that have got a reply run before more is received: others may be waiting for them.
      turn_replies = 0;
      turn_bytes = 0;
      co_await boost::asio::post(boost::asio::use_awaitable);
      continue;
    }
    if (reads) {
      auto staged = co_await reader_.stage(proto::kHeaderBytes);
      if (!staged) co_return staged.error();
    }
    auto header = reader_.take_header();
    if (!header) co_return header.error();
    const std::size_t rest = header.value().meta_bytes + header.value().payload_bytes;
    const bool whole = rest <= reader_.staged_bytes();
    if (header.value().is_notice()) {
      auto received = co_await receive_notice(header.value());
      if (!received) co_return received.error();
    } else {
      auto owner = owner_of(header.value());
      if (!owner) co_return owner.error();
      if (whole) {
        receive_staged(header.value(), owner.value());
      } else {
        auto received = co_await receive_long(header.value(), owner.value());
        if (!received) co_return received.error();
      }
      ++replies_;
    }
    turn_bytes += rest;
    ++turn_replies;
  }
  co_return reason_;
}

Task<Status> Link::receive_notice(proto::FrameHeader header) {
  const bool addressed = header.slot != 0 || header.sequence != 0 || header.request_id != 0;
  if (addressed || header.payload_bytes > 0 || header.meta_bytes > kMaxNoticeBytes) {
    co_return Errno(EPROTO);
  }
  auto staged = co_await reader_.stage(header.meta_bytes);
  if (!staged) co_return staged.error();
  // A copy, because behind a payload of any length the bytes are not aligned as FlatBuffers needs.
  const auto meta = reader_.take(header.meta_bytes);
  co_return take_notice(header.type, std::vector(meta.begin(), meta.end()));
}

Status Link::take_notice(proto::MessageType type, std::span<const std::byte> meta) {
  if (type == proto::MessageType::kLockGranted) {
    const auto* granted = proto::view<wire::LockGranted>(meta);
    if (granted == nullptr) return Errno(EPROTO);
    if (notices_.lock_granted) notices_.lock_granted(granted->waiter());
    return success();
  }
  if (type == proto::MessageType::kOpensWanted) {
    if (proto::view<wire::OpensWanted>(meta) == nullptr) return Errno(EPROTO);
    if (notices_.opens_wanted) notices_.opens_wanted();
    return success();
  }
  if (type != proto::MessageType::kLeasesRecalled) return Errno(EPROTO);
  BOOST_OUTCOME_TRY(auto recalled, proto::decode<wire::LeasesRecalled>(meta));
  if (notices_.leases_recalled) notices_.leases_recalled(std::move(recalled));
  return success();
}

// The call that waits for the frame; nullptr when there is none (any more).
Result<Call*> Link::owner_of(const proto::FrameHeader& header) {
  if (!header.is_reply()) return Errno(EPROTO);
  Call* call = nullptr;
  if (calls_.find(header.request_id, call) != CallTable::Owner::kCall) return nullptr;
  // A reply to a request that was not sent over this link.
  if (call->state != CallState::kSent) return Errno(EPROTO);
  if (header.type != call->type) {
    // After a reconnect the server would only send the same reply again.
    calls_.drop(*call, Errno(EPROTO));
    return Errno(EPROTO);
  }
  return call;
}

void Link::receive_staged(const proto::FrameHeader& header, Call* call) {
  const auto meta = reader_.take(header.meta_bytes);
  const auto payload = reader_.take(header.payload_bytes);
  if (call == nullptr) return calls_.answered_abandoned(header.request_id);
  if (!may_bring(*call, payload.size())) return calls_.answered(*call, Errno(EPROTO));
  if (!call->orphan) IoCursor(call->payload.receive, payload.size()).copy_in(payload);
  RawReply reply{{meta.begin(), meta.end()}, header.payload_bytes};
  calls_.answered(*call, to_result(header, std::move(reply)));
}

Task<Status> Link::receive_long(const proto::FrameHeader& header, Call* call) {
  if (call == nullptr || !may_bring(*call, header.payload_bytes)) {
    auto skipped = co_await reader_.skip(header.meta_bytes + header.payload_bytes);
    if (!skipped) co_return skipped.error();
    // Looked up again, because the caller may have gone meanwhile.
    const auto owner = calls_.find(header.request_id, call);
    if (owner == CallTable::Owner::kCall) calls_.answered(*call, Errno(EPROTO));
    if (owner == CallTable::Owner::kAbandoned) calls_.answered_abandoned(header.request_id);
    co_return success();
  }
  CallTable::pin(*call);
  RawReply reply;
  reply.meta.resize(header.meta_bytes);
  reply.payload_bytes = header.payload_bytes;
  const iovec meta = vector_of(reply.meta);
  auto received = co_await reader_.read(std::span(&meta, 1), header.meta_bytes);
  if (received && call->orphan) {
    received = co_await reader_.skip(header.payload_bytes);
  } else if (received) {
    received = co_await reader_.read(call->payload.receive, header.payload_bytes);
  }
  if (received) {
    if (call->state == CallState::kDone) {
      calls_.answered_abandoned(header.request_id);  // its caller gave up while the reply came in
    } else {
      calls_.answered(*call, to_result(header, std::move(reply)));
    }
  }
  calls_.unpin(*call);
  co_return received;
}

}  // namespace foliofs::rpc
