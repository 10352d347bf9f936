// ClosingOpens: how opens at the server are closed.
//
// CLOSE is sent until the server has answered it, because a session that is resumed still has the
// open, and because on a `soft` mount a request may end without an answer. An open of an earlier
// session is closed already.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "foliofs/base/task.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/proto/messages.h"
#include "foliofs/rpc/session.h"
#include "server_open.h"

namespace foliofs::vfs {

class MountCore;

class ClosingOpens {
 public:
  explicit ClosingOpens(MountCore& core) : core_(core) {}
  ClosingOpens(const ClosingOpens&) = delete;
  ClosingOpens& operator=(const ClosingOpens&) = delete;

  // Waits for the requests that go through the open, and for the server's answer. If that does not
  // come in time, goes on as close_later().
  Task<void> close(std::shared_ptr<ServerOpen> open);
  // In the background, and as a rule before the next request reaches the server.
  void close_later(std::shared_ptr<ServerOpen> open);
  // The server has answered a request whose caller has given up: closes what that has opened.
  void close_unclaimed(proto::MessageType type, const rpc::RawReply& reply);

  // Of the opens to be closed later: how many have not been begun; whether any is not closed yet.
  std::size_t size() const { return queue_.size(); }
  bool any() const { return closers_ != 0; }
  // Waits, no longer than `patience`, until all are closed.
  Task<void> until_closed(Duration patience);

 private:
  // How many are closed at a time.
  static constexpr std::uint32_t kClosers = 8;

  static Task<Status> try_to_close(MountCore& core, std::shared_ptr<ServerOpen> open);
  static Task<void> close_some(MountCore& core);
  static Task<void> until_none(MountCore& core);

  MountCore& core_;
  std::deque<std::shared_ptr<ServerOpen>> queue_;
  std::uint32_t closers_ = 0;
  WaitQueue closed_;  // woken when the last closer has ended
};

}  // namespace foliofs::vfs
