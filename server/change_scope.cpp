#include "server/change_scope.h"

#include <cerrno>

#include "server/local_calls.h"
#include "server/local_store.h"

namespace foliofs::server {

ChangeScope::ChangeScope(const LocalStore& store, int fd, Inode& inode, const CallContext& context)
    : store_(store), fd_(fd), inode_(inode), context_(context), info_() {
  inode_.begin_change([this] {
    look_at(fd_, info_);
    return stamp_of(info_);
  });
}

ChangeScope::ChangeScope(const LocalStore& store, const Node& node, const CallContext& context)
    : ChangeScope(store, node.fd.get(), *node.inode, context) {
  if (context.holder != nullptr) {
    if (S_ISDIR(info_.stx_mode)) inode_.keep_returned_leases();
    inode_.lease_to(*context.holder, node.handle);
  }
}

Result<wire::Attributes> ChangeScope::finish(bool changed, const std::vector<std::string>& names) {
  finished_ = true;
  bool seen = true;
  std::vector<LostLease> lost;
  const auto look = [&] {
    seen = look_at(fd_, info_);
    return stamp_of(info_);
  };
  const ChangeCounts counts = inode_.end_change(context_.session, changed, look, lost);
  if (context_.recalls != nullptr && !lost.empty()) {
    context_.recalls->add(inode_.shared_from_this(), inode_.leased_handle(), lost, names);
  }
  if (!seen) return Errno(EIO);
  const bool leased = context_.holder != nullptr && inode_.is_leased_to(*context_.holder);
  return store_.describe(info_, counts, leased ? std::uint32_t{proto::kLeased} : 0);
}

ChangeScope::~ChangeScope() {
  if (finished_) return;
  const int kept_errno = errno;
  (void)finish(touched_);
  errno = kept_errno;
}

}  // namespace foliofs::server
