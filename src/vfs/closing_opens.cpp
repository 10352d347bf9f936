#include "closing_opens.h"

#include "foliofs/base/log.h"
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// The pause before a CLOSE that was not answered is tried again.
constexpr Duration kPause = std::chrono::seconds(1);

}  // namespace

Task<void> ClosingOpens::close(std::shared_ptr<ServerOpen> open) {
  const std::weak_ptr<MountCore*> alive = core_.self;
  const Status closed = co_await try_to_close(core_, open);
  const bool unanswered = !closed && closed.error() == Errno(ETIMEDOUT);
  if (unanswered && !alive.expired()) close_later(std::move(open));
}

void ClosingOpens::close_later(std::shared_ptr<ServerOpen> open) {
  queue_.push_back(std::move(open));
  if (core_.stopping || closers_ == kClosers) return;
  ++closers_;
  core_.spawn_unawaited("close opens", close_some(core_));
}

void ClosingOpens::close_unclaimed(proto::MessageType type, const rpc::RawReply& reply) {
  auto open = std::make_shared<ServerOpen>();
  if (type == proto::MessageType::kOpen) {
    const auto* opened = proto::view<wire::OpenReply>(reply.meta);
    if (opened != nullptr) open->id = opened->open_id();
  } else if (type == proto::MessageType::kCreate) {
    const auto* created = proto::view<wire::CreateReply>(reply.meta);
    if (created != nullptr) open->id = created->open_id();
  }
  if (open->id == 0) return;
  open->incarnation = reply.incarnation;
  close_later(std::move(open));
}

Task<void> ClosingOpens::until_closed(Duration patience) {
  (void)co_await wait_at_most(core_.clock, patience, until_none(core_));
}

Task<void> ClosingOpens::until_none(MountCore& core) {
  while (core.closing_opens.any()) co_await core.closing_opens.closed_.wait();
}

// REQUIRES: no request goes through `open`, or the mount does not end meanwhile.
Task<Status> ClosingOpens::try_to_close(MountCore& core, std::shared_ptr<ServerOpen> open) {
  while (open->requests != 0) co_await open->requests_ended.wait();
  if (open->incarnation != core.session.incarnation()) co_return success();
  wire::CloseRequestT request;
  request.open_id = open->id;
  auto reply = co_await core.session.call<wire::CloseRequest>(request, open->incarnation,
                                                              rpc::Urgency::kSoon);
  if (reply) co_return success();
  log_debug("close: {}", errno_name(reply.error()));
  co_return reply.error();
}

// Does not keep the mount from ending, because the server may be away then.
Task<void> ClosingOpens::close_some(MountCore& core) {
  const std::weak_ptr<MountCore*> alive = core.self;
  ClosingOpens& closing = core.closing_opens;
  while (!closing.queue_.empty()) {
    const std::shared_ptr<ServerOpen> open = std::move(closing.queue_.front());
    closing.queue_.pop_front();
    const Status closed = co_await try_to_close(core, open);
    if (alive.expired()) co_return;
    if (closed || closed.error() != Errno(ETIMEDOUT)) continue;
    // The server is away, and may come back to the same session.
    closing.queue_.push_back(open);
    co_await core.clock.sleep(kPause);
    if (alive.expired()) co_return;
  }
  if (--closing.closers_ == 0) closing.closed_.wake_all();
}

}  // namespace foliofs::vfs
