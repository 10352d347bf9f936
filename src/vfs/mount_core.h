// MountCore: what the operations of one mount share: the session, and how requests go out through
// it; the cache; the inodes; and the parts that keep what is known of these.
#pragma once

#include <map>
#include <memory>

#include "attribute_cache.h"
#include "attribute_writeback.h"
#include "closing_opens.h"
#include "foliofs/rpc/session.h"
#include "forgetting.h"
#include "idle_opens.h"
#include "inode.h"
#include "inode_io.h"
#include "inode_table.h"
#include "lock_waits.h"
#include "name_cache.h"
#include "notifications.h"
#include "open_files.h"

namespace foliofs::vfs {

class MountCore {
 public:
  // How often a call is repeated because the server has lost handles.
  static constexpr int kMaxRepairs = 2;
  // In how many sessions, one after the other, a call is tried that may be repeated at all.
  static constexpr int kMaxSessions = 4;
  // How often a query is asked at most when changes of our own overtake its answers.
  static constexpr int kMaxQueries = 3;
  // A program is assumed to take an answer within this time after it was given.
  static constexpr Duration kAnswerIsTaken = std::chrono::seconds(1);

  MountCore(Executor on, Clock& time, rpc::Session& to, Kernel& above, MountOptions with,
            FaultPoints* faults);
  ~MountCore();
  MountCore(const MountCore&) = delete;
  MountCore& operator=(const MountCore&) = delete;

  const Executor executor;
  Clock& clock;
  rpc::Session& session;
  Kernel& kernel;
  MountOptions options;
  InodeTable inodes;
  cache::Cache cache;
  OpenFiles open_files{*this};
  std::map<OpenDirectory*, OpenDirectoryRef> open_directories;

  // Expires with the mount. For tasks that may outlive it: a fetch, a reply that nobody waits for.
  const std::shared_ptr<MountCore*> self = std::make_shared<MountCore*>(this);
  bool stopping = false;
  // Advances with everything that replies must be told to be older or newer than: a change by this
  // client, an open, a notification to the kernel, a lease that goes. Each request notes it
  // (`asked_at`), and what its reply says of a file that has changed since (Inode::changed_at) is
  // not believed.
  std::uint64_t logical_time = 0;
  // The server's filesystem has a limit on the size of files, but does not tell it. A store that
  // ends beyond this size goes to the server at once, so that its writer learns of EFBIG. If the
  // server takes it, the limit is not below the next power of two, or only a little.
  std::uint64_t tested_size = (4ull << 30) - 1;
  void passed_size(std::uint64_t size);
  // Threads (Call::thread) whose latest open was refused to make them look the path up again, and
  // the file that each wanted to open.
  std::map<std::int32_t, NodeId> looking_again;

  NameCache names{*this};
  AttributeCache attributes{*this};
  Notifications notifications{*this};
  LockWaits lock_waits{*this};
  Leases leases{*this};
  AttributeWriteback attribute_writeback{*this};
  Forgetting forgetting{*this};
  IdleOpens idle_opens{*this};
  ClosingOpens closing_opens{*this};

  // --- Files

  // To be called before the file is read, written or truncated here for the first time.
  void prepare_mapping(const InodeRef& inode);
  cache::InvalidateRequest request_for(cache::InvalidateReason reason) const {
    return {options.invalidate, reason, true};
  }
  // Sends what is dirty, if anything is, and waits for it. fsync and close report the error as
  // well.
  Task<Status> write_back(InodeRef inode);
  // The kernel gives back so many references.
  void forget(NodeId node, std::uint64_t count);
  // One reason to keep the inode is gone: drops it if there is no other.
  void drop_if_unused(const InodeRef& inode);

  // --- The background

  // Runs `task`; shut_down() waits until it has ended.
  void spawn(std::string_view name, Task<void> task);
  // Nobody waits for this task. It does not begin when the mount is gone by then. After each wait
  // of its own it has to check by `self` whether the mount is still there.
  void spawn_unawaited(std::string_view name, Task<void> task);
  std::uint32_t background_tasks = 0;
  WaitQueue background_ended;

  // --- Requests

  template <class Request>
  using Table = typename Request::NativeTableType;
  template <class Request>
  using HandleField = HandleBytes Request::NativeTableType::*;

  // One request with its payload. When the session is lost under it, it is sent again in the next
  // one, which is harmless for requests that can be repeated; `retried` tells callers that must
  // interpret the second answer. A request that names an open of session `incarnation` is not
  // repeated, and fails with kSessionLost.
  template <class Request>
  Task<Result<rpc::RawReply>> exchange(Table<Request> request, rpc::Payload payload = {},
                                       bool* retried = nullptr, std::uint64_t incarnation = 0) {
    constexpr auto kType = proto::Message<Request>::kType;
    auto reply = co_await session.exchange(kType, proto::encode(request), payload, incarnation);
    if (incarnation != 0) co_return reply;
    for (int sessions = 1; !reply && reply.error() == rpc::kSessionLost; ++sessions) {
      if (sessions == kMaxSessions) co_return Errno(EIO);
      if (retried != nullptr) *retried = true;
      reply = co_await session.exchange(kType, proto::encode(request), payload);
    }
    co_return reply;
  }

  // The same for a request that names `inode` in its field `handle_at`, and perhaps `other` in
  // `other_at`. When the server has lost a handle, the file is looked up again as the caller, and
  // the request is repeated.
  template <class Request>
  Task<Result<rpc::RawReply>> exchange_on(InodeRef inode, HandleField<Request> handle_at,
                                          Table<Request> request, rpc::Payload payload = {},
                                          bool* retried = nullptr, std::uint64_t incarnation = 0,
                                          InodeRef other = nullptr,
                                          HandleField<Request> other_at = nullptr) {
    // What programs have set must reach the server before it answers anything about the file.
    if (AttributeWriteback::is_dirty(*inode)) co_await attribute_writeback.write(inode);
    if (other && AttributeWriteback::is_dirty(*other)) co_await attribute_writeback.write(other);
    for (int repairs = 0;; ++repairs) {
      request.*handle_at = inode->handle;
      if (other) request.*other_at = other->handle;
      auto reply = co_await exchange<Request>(request, payload, retried, incarnation);
      if (reply || reply.error() != Errno(ESTALE)) co_return reply;
      inode->forget_listed();
      if (other) other->forget_listed();
      if (repairs == kMaxRepairs) co_return reply;
      // Another call may have found the file meanwhile.
      bool repaired = inode->handle != request.*handle_at;
      if (other) repaired = repaired || other->handle != request.*other_at;
      if (repaired) continue;
      auto found = co_await names.find_again(inode, *request.caller);
      repaired = found && found.value();
      if (other) {
        auto other_found = co_await names.find_again(other, *request.caller);
        repaired = repaired || (other_found && other_found.value());
      }
      if (!repaired) co_return reply;
    }
  }

  // Both, with decoded replies.
  template <class Request>
  Task<rpc::ReplyTo<Request>> call(Table<Request> request, bool* retried = nullptr,
                                   std::uint64_t incarnation = 0) {
    return rpc::decode_reply<Request>(
        exchange<Request>(std::move(request), {}, retried, incarnation));
  }
  template <class Request>
  Task<rpc::ReplyTo<Request>> call_on(InodeRef inode, HandleField<Request> handle_at,
                                      Table<Request> request, bool* retried = nullptr,
                                      std::uint64_t incarnation = 0, InodeRef other = nullptr,
                                      HandleField<Request> other_at = nullptr) {
    return rpc::decode_reply<Request>(
        exchange_on<Request>(std::move(inode), handle_at, std::move(request), {}, retried,
                             incarnation, std::move(other), other_at));
  }
};

// A task that shut_down() waits for.
class BackgroundTask {
 public:
  explicit BackgroundTask(MountCore& core) : core_(core) { ++core_.background_tasks; }
  ~BackgroundTask() {
    --core_.background_tasks;
    core_.background_ended.wake_all();
  }
  BackgroundTask(const BackgroundTask&) = delete;
  BackgroundTask& operator=(const BackgroundTask&) = delete;

 private:
  MountCore& core_;
};

wire::CallerT to_wire(const Caller& caller);
// The caller has to add whose change it is, of which file, and through which open.
wire::SetAttrRequestT to_wire(const AttributeChange& change);
std::unique_ptr<wire::CallerT> caller_of(const Call& call);
Status check_name(std::string_view name);

}  // namespace foliofs::vfs
