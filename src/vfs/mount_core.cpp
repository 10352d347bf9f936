#include "mount_core.h"

#include <bit>

#include "foliofs/base/log.h"

namespace foliofs::vfs {

wire::CallerT to_wire(const Caller& caller) {
  wire::CallerT wire;
  wire.uid = caller.uid;
  wire.gid = caller.gid;
  wire.groups = caller.groups;
  return wire;
}

wire::SetAttrRequestT to_wire(const AttributeChange& change) {
  wire::SetAttrRequestT request;
  request.valid = change.valid;
  request.mode = change.mode;
  request.uid = change.uid;
  request.gid = change.gid;
  request.size = change.size;
  request.atime_ns = change.atime_ns;
  request.mtime_ns = change.mtime_ns;
  return request;
}

std::unique_ptr<wire::CallerT> caller_of(const Call& call) {
  return std::make_unique<wire::CallerT>(to_wire(call.caller));
}

Status check_name(std::string_view name) {
  return proto::check_name(name);
}

MountCore::MountCore(Executor on, Clock& time, rpc::Session& to, Kernel& above, MountOptions with,
                     FaultPoints* faults)
    : executor(std::move(on)),
      clock(time),
      session(to),
      kernel(above),
      options(std::move(with)),
      cache(executor, clock, options.cache, faults) {
  // The root is the first inode, and so gets kRootNode.
  InodeRef root = inodes.find_or_create(session.hello().root);
  root->lookups = 1;
  if (session.hello().root_attributes) {
    root->attributes = from_wire(*session.hello().root_attributes);
  }
  rpc::SessionEvents events;
  events.lock_granted = [this](std::uint64_t waiter) {
    lock_waits.granted(waiter);
  };
  events.leases_recalled = [this](wire::LeasesRecalledT lost) {
    leases.recalled(std::move(lost));
  };
  events.opens_wanted = [this] {
    idle_opens.close_all();
  };
  events.answered_late = [this](proto::MessageType type, const Result<rpc::RawReply>& reply) {
    if (reply) closing_opens.close_unclaimed(type, reply.value());
    // Requests sent since may have been answered before this change was done, and a change by this
    // client ends none of its own leases.
    if (proto::changes_export(type)) leases.lose_all_and_say_so();
  };
  events.out_of_touch = [this] {
    leases.lose_all_and_say_so();
  };
  events.connection_lost = [this] {
    lock_waits.connection_lost();
    leases.lose_all_and_say_so();
  };
  events.session_renewed = [this] {
    lock_waits.session_renewed();
  };
  session.set_events(std::move(events));
}

MountCore::~MountCore() {
  session.set_events({});
}

void MountCore::spawn(std::string_view name, Task<void> task) {
  // Counted from now on, because the mount could end before the task begins.
  auto run = [](std::unique_ptr<BackgroundTask> counted, Task<void> all_of_it) -> Task<void> {
    co_await std::move(all_of_it);
    counted.reset();
  };
  foliofs::spawn(executor, name, run(std::make_unique<BackgroundTask>(*this), std::move(task)));
}

void MountCore::spawn_unawaited(std::string_view name, Task<void> task) {
  auto run = [](std::weak_ptr<MountCore*> mount, Task<void> all_of_it) -> Task<void> {
    if (mount.expired()) co_return;
    co_await std::move(all_of_it);
  };
  foliofs::spawn(executor, name, run(self, std::move(task)));
}

void MountCore::passed_size(std::uint64_t size) {
  constexpr std::uint64_t kBelowPowerOfTwo = 1 << 20;
  if (size <= tested_size) return;
  tested_size = std::max(size, std::bit_ceil(size) - kBelowPowerOfTwo);
}

Task<Status> MountCore::write_back(InodeRef inode) {
  if (!inode->dirty()) co_return success();
  auto report = co_await inode->mapping->flush(request_for(cache::InvalidateReason::kSync));
  if (!report.error) co_return success();
  log_debug("{}: write back: {}", inode->name, errno_name(*report.error));
  co_return *report.error;
}

void MountCore::prepare_mapping(const InodeRef& inode) {
  if (inode->mapping) return;
  inode->io = std::make_shared<InodeIo>(*this, inode);
  inode->mapping = cache.make_mapping(inode->io, inode->io, inode->attributes.size);
  inodes.recount(*inode);
}

void MountCore::forget(NodeId node, std::uint64_t count) {
  InodeRef inode = inodes.find(node);
  if (!inode) return;
  inode->lookups -= std::min(count, inode->lookups);
  drop_if_unused(inode);
}

void MountCore::drop_if_unused(const InodeRef& inode) {
  if (!inodes.drop_if_unused(inode)) return;
  idle_opens.close(*inode);
  leases.dropped(*inode);
  forgetting.memory_changed();
}

}  // namespace foliofs::vfs
