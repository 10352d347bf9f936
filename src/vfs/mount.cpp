#include "foliofs/vfs/mount.h"

#include "foliofs/vfs/operations.h"
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// How long `foliofs invalidate` waits for the server to look up a name that is not known here,
// whatever the mount's own patience, because somebody waits at a terminal.
constexpr Duration kNameAnswer = std::chrono::seconds(10);

// A file on the way along a path: its `inode` if it is known here; otherwise what the server says.
struct Found {
  InodeRef inode;
  HandleBytes stranger;
  Attributes stranger_attributes;

  const HandleBytes& handle() const { return inode ? inode->handle : stranger; }
  const Attributes& attributes() const { return inode ? inode->attributes : stranger_attributes; }
};

// Shared, because the answer may come after the caller has given up.
using Answer = std::shared_ptr<std::optional<Result<wire::EntryReplyT>>>;

Task<void> ask(rpc::Session& session, wire::LookupRequestT request, Answer answer) {
  auto reply = co_await session.call<wire::LookupRequest>(request);
  *answer = std::move(reply);
}

// A plain lookup: it enters nothing, and so touches neither attributes nor caches.
Task<Result<Found>> ask_server(MountCore& core, Caller caller, HandleBytes parent,
                               std::string name) {
  if (auto valid = check_name(name); !valid) co_return valid.error();
  if (core.session.state() != rpc::ConnectionState::kConnected) co_return Errno(ENOTCONN);
  wire::LookupRequestT request;
  request.caller = std::make_unique<wire::CallerT>(to_wire(caller));
  request.parent = std::move(parent);
  request.name = std::move(name);
  auto answer = std::make_shared<Answer::element_type>();
  const bool answered =
      co_await wait_at_most(core.clock, kNameAnswer, ask(core.session, std::move(request), answer));
  if (!answered) co_return Errno(ETIMEDOUT);
  const auto& reply = **answer;
  if (!reply) co_return reply.error() == rpc::kSessionLost ? Errno(ENOTCONN) : reply.error();
  if (!reply.value().attributes || reply.value().handle.empty()) co_return Errno(EPROTO);
  Found found;
  found.inode = core.inodes.find_by_handle(reply.value().handle);
  found.stranger = reply.value().handle;
  found.stranger_attributes = from_wire(*reply.value().attributes);
  co_return found;
}

Task<Result<Found>> find_path(MountCore& core, Caller caller, std::string path) {
  Found found;
  found.inode = core.inodes.find(kRootNode);
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    if (!found.attributes().is_directory()) co_return Errno(ENOTDIR);
    InodeRef known = found.inode ? core.inodes.find_by_name(found.inode->node, name) : nullptr;
    if (known) {
      found.inode = std::move(known);
      continue;
    }
    auto asked = co_await ask_server(core, caller, found.handle(), name);
    if (!asked) co_return asked.error();
    found = std::move(asked.value());
  }
  co_return found;
}

}  // namespace

class Mount::Impl {
 public:
  Impl(Executor executor, Clock& clock, rpc::Session& session, Kernel& kernel, MountOptions options,
       FaultPoints* faults)
      : core(std::move(executor), clock, session, kernel, std::move(options), faults),
        operations(core) {}

  MountCore core;
  Operations operations;
};

Mount::Mount(Executor executor, Clock& clock, rpc::Session& session, Kernel& kernel,
             MountOptions options, FaultPoints* faults)
    : impl_(std::make_unique<Impl>(std::move(executor), clock, session, kernel, std::move(options),
                                   faults)) {}

Mount::~Mount() = default;

Operations& Mount::operations() {
  return impl_->operations;
}

const MountOptions& Mount::options() const {
  return impl_->core.options;
}

MountStats Mount::stats() const {
  MountStats stats;
  stats.cache = impl_->core.cache.stats();
  stats.rpc = impl_->core.session.stats();
  stats.connection = impl_->core.session.state();
  stats.inodes = impl_->core.inodes.size();
  stats.inode_bytes = impl_->core.inodes.bytes();
  stats.open_files = impl_->core.open_files.size();
  stats.idle_opens = impl_->core.idle_opens.size() + impl_->core.closing_opens.size();
  stats.leases = impl_->core.leases.held();
  stats.lease_recalls = impl_->core.leases.recalls();
  return stats;
}

OptionResult Mount::set_live_options(std::span<const OptionPair> pairs) {
  MountCore& core = impl_->core;
  auto set = vfs::set_live_options(core.options, pairs);
  if (!set) return set;
  core.cache.reconfigure(core.options.cache);
  core.forgetting.memory_changed();
  core.session.set_timeout(core.options.timeo_us, core.options.hard);
  return set;
}

Task<Result<cache::InvalidateReport>> Mount::invalidate(Caller caller, std::string path,
                                                        std::optional<cache::InvalidateMode> mode,
                                                        bool flush) {
  MountCore& core = impl_->core;
  auto found = co_await find_path(core, std::move(caller), std::move(path));
  if (!found) co_return found.error();
  const Found& file = found.value();
  if (file.attributes().is_directory()) co_return Errno(EISDIR);
  if (!file.attributes().is_regular()) co_return Errno(EINVAL);
  cache::InvalidateRequest request;
  request.mode = mode.value_or(core.options.invalidate);
  request.reason = cache::InvalidateReason::kUser;
  request.flush = flush;
  cache::InvalidateReport report;
  report.mode = request.mode;
  report.reason = request.reason;
  // The attributes must be asked for anew; the size too, below.
  if (file.inode) core.attributes.forget(*file.inode);
  if (!file.inode || !file.inode->mapping) co_return report;
  file.inode->size_unknown = true;
  co_return co_await file.inode->mapping->invalidate(request);
}

Task<Status> Mount::drain(std::function<void(std::uint64_t)> progress) {
  auto flushed = co_await impl_->core.cache.flush_all(std::move(progress));
  auto written = co_await impl_->core.attribute_writeback.write_all();
  co_return flushed ? written : flushed;
}

Task<Status> Mount::shut_down() {
  MountCore& core = impl_->core;
  core.stopping = true;
  core.lock_waits.interrupt_all();
  Status drained = co_await core.cache.flush_all({});
  for (OpenFile* file : core.open_files.all()) co_await impl_->operations.release(file);
  auto written = co_await core.attribute_writeback.write_all();
  if (drained) drained = written;
  core.open_directories.clear();
  while (core.background_tasks > 0) co_await core.background_ended.wait();
  co_await core.cache.stop();
  // The last writes may have spawned some.
  while (core.background_tasks > 0) co_await core.background_ended.wait();
  co_return drained;
}

}  // namespace foliofs::vfs
