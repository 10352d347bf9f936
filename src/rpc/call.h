// Call: one request from exchange() until its reply. It lives in the caller's coroutine frame; the
// tables only point to it. Completion: wakes the caller.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "foliofs/base/clock.h"
#include "foliofs/base/task.h"
#include "foliofs/proto/frame.h"
#include "foliofs/rpc/session.h"
#include "io_cursor.h"

namespace foliofs::rpc {

// One coroutine waits here for one event. Unlike a WaitQueue it allocates nothing, which matters
// because every call waits once.
class Completion {
 public:
  Task<void> wait() {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
        [this](Handler handler) { handler_.emplace(std::move(handler)); },
        boost::asio::use_awaitable);
  }

  // Resumes the waiter, if there is one, through its executor, not inside this call.
  void signal() {
    if (!handler_) return;
    Handler handler = std::move(*handler_);
    handler_.reset();
    auto executor = boost::asio::get_associated_executor(handler);
    boost::asio::post(executor, std::move(handler));
  }

  // Destroys the waiter. For a loop that will not run again.
  void drop() {
    if (!handler_) return;
    Handler handler = std::move(*handler_);
    handler_.reset();
  }

 private:
  using Handler = boost::asio::async_result<boost::asio::use_awaitable_t<>, void()>::handler_type;
  std::optional<Handler> handler_;
};

// new → waiting (for a slot) → queued (to be sent) → sent → done. A sent call is queued again when
// the session is resumed on another connection. A call that fails goes to done from any state.
enum class CallState { kNew, kWaiting, kQueued, kSent, kDone };

struct Call : boost::intrusive::list_base_hook<> {
  Call(proto::MessageType message, proto::MetaBuffer metadata, const Payload& buffers,
       std::uint64_t bound_to)
      : type(message),
        meta(std::move(metadata)),
        payload(buffers),
        incarnation(bound_to),
        send_bytes(total_bytes(buffers.send)),
        receive_bytes(total_bytes(buffers.receive)) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const proto::MessageType type;
  proto::MetaBuffer meta;
  const Payload payload;
  const std::uint64_t incarnation;  // 0: any
  const std::size_t send_bytes, receive_bytes;

  Urgency urgency = Urgency::kNow;
  TimePoint started{};
  CallState state = CallState::kNew;
  std::uint32_t slot = 0, sequence = 0;  // valid from kQueued on, and so is request_id
  std::uint64_t request_id = 0;
  proto::HeaderBytes header{};  // as it is being sent
  // The server may have executed it. Set when it is sent; cleared when a resumed session says that
  // it never arrived.
  bool maybe_executed = false;
  // This call has taken the place of one whose caller has given up (see CallTable).
  bool orphan = false;
  // How many of the sender and the receiver are using the caller's memory. A call that is done
  // wakes its caller only when this is 0.
  int pins = 0;
  Result<RawReply> result = Errno(EIO);  // valid when done
  Completion completion;
};

using CallList = boost::intrusive::list<Call, boost::intrusive::constant_time_size<false>>;

}  // namespace foliofs::rpc
