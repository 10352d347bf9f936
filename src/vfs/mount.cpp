#include "foliofs/vfs/mount.h"

#include "foliofs/vfs/operations.h"
#include "mount_core.h"

namespace foliofs::vfs {

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
  stats.open_files = impl_->core.open_files.size();
  return stats;
}

OptionResult Mount::set_live_option(std::string_view key, std::string_view value) {
  MountOptions changed = impl_->core.options;
  auto set = vfs::set_live_option(changed, key, value);
  if (!set) return set;
  auto finished = finish_options(changed);
  if (!finished) return finished;
  impl_->core.options = changed;
  impl_->core.cache.reconfigure(changed.cache);
  return boost::outcome_v2::success();
}

Task<Result<cache::InvalidateReport>> Mount::invalidate(Caller caller, std::string path,
                                                        std::optional<cache::InvalidateMode> mode,
                                                        bool flush) {
  Call call;
  call.caller = std::move(caller);
  MountCore& core = impl_->core;
  std::vector<NodeId> entered;  // references to give back
  NodeId node = kRootNode;
  std::optional<Errno> error;
  for (std::size_t begin = 0; begin < path.size() && !error;) {
    std::size_t end = path.find('/', begin);
    if (end == path.npos) end = path.size();
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    auto entry = co_await impl_->operations.lookup(call, node, name);
    if (!entry) {
      error = entry.error();
    } else if (entry.value().node == 0) {
      error = Errno(ENOENT);
    } else {
      node = entry.value().node;
      entered.push_back(node);
    }
  }
  InodeRef inode = core.inodes.find(node);
  if (!error && inode->attributes.is_directory()) error = Errno(EISDIR);
  if (!error && !inode->attributes.is_regular()) error = Errno(EINVAL);
  cache::InvalidateReport report;
  report.mode = mode.value_or(core.options.invalidate);
  if (!error && inode->mapping) {
    cache::InvalidateRequest request;
    request.mode = report.mode;
    request.reason = cache::InvalidateReason::kUser;
    request.flush = flush;
    report = co_await inode->mapping->invalidate(request);
    inode->attributes_expire = {};
  }
  for (NodeId reference : entered) impl_->operations.forget(reference, 1);
  if (error) co_return *error;
  co_return report;
}

Task<Status> Mount::drain(std::function<void(std::uint64_t)> progress) {
  co_return co_await impl_->core.cache.flush_all(std::move(progress));
}

Task<Status> Mount::shut_down() {
  MountCore& core = impl_->core;
  core.stopping = true;
  Status drained = co_await core.cache.flush_all({});
  std::vector<OpenFile*> files;
  for (const auto& [file, owned] : core.open_files) files.push_back(file);
  for (OpenFile* file : files) co_await impl_->operations.release(file);
  core.open_directories.clear();
  while (core.background_tasks > 0) co_await core.background_ended.wait();
  co_await core.cache.stop();
  co_return drained;
}

}  // namespace foliofs::vfs
