#include "absent_xattrs.h"

#include <linux/xattr.h>
#include <sys/stat.h>

#include <algorithm>

#include "foliofs/proto/messages.h"

namespace foliofs::vfs {

namespace {

// Whether kNoSecurityXattrs says that a file of this mode has no such attribute. It does not for
// the ACL of a symlink: asked for that, the server has another answer.
bool is_security_xattr(std::string_view name, std::uint32_t mode) {
  constexpr std::string_view kSecurity = XATTR_SECURITY_PREFIX;
  if (name.starts_with(kSecurity)) return name.size() > kSecurity.size();
  return !S_ISLNK(mode) &&
         (name == XATTR_NAME_POSIX_ACL_ACCESS || name == XATTR_NAME_POSIX_ACL_DEFAULT);
}

}  // namespace

// What is known of another version is of no use.
void AbsentXattrs::start_at(const Attributes& as_of) {
  if (version_ == version_of(as_of)) return;
  *this = AbsentXattrs();
  version_ = version_of(as_of);
}

void AbsentXattrs::add(const Attributes& as_of, std::string name) {
  constexpr std::size_t kMaxNames = 8;
  start_at(as_of);
  if (names_.size() < kMaxNames) names_.push_back(std::move(name));
}

void AbsentXattrs::take_flags(const Attributes& said) {
  start_at(said);
  all_security_ = (said.flags & proto::kNoSecurityXattrs) != 0;
}

void AbsentXattrs::made(const Attributes& as_of) {
  add(as_of, XATTR_NAME_CAPS);
}

bool AbsentXattrs::contains(std::string_view name, const Attributes& now) const {
  if (version_ != version_of(now)) return false;
  if (all_security_ && is_security_xattr(name, now.mode)) return true;
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

}  // namespace foliofs::vfs
