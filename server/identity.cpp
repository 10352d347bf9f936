#include "server/identity.h"

#include "foliofs/base/limits.h"

namespace foliofs::server {

Result<Identity> map_caller(const SquashRule& rule, const wire::Caller* caller) {
  if (caller == nullptr || caller->uid() == kNoId || caller->gid() == kNoId) return Errno(EINVAL);
  Identity identity;
  if (rule.squash == Squash::kAll) {
    identity.uid = rule.anon_uid;
    identity.gid = rule.anon_gid;
    return identity;
  }
  const bool squash_root = rule.squash == Squash::kRoot;
  auto map_gid = [&](gid_t gid) {
    return squash_root && gid == 0 ? rule.anon_gid : gid;
  };
  identity.uid = squash_root && caller->uid() == 0 ? rule.anon_uid : caller->uid();
  identity.gid = map_gid(caller->gid());
  if (caller->groups() == nullptr) return identity;
  if (caller->groups()->size() > kMaxGroups) return Errno(EINVAL);
  for (gid_t gid : *caller->groups()) {
    if (gid == kNoId) return Errno(EINVAL);
    identity.groups.push_back(map_gid(gid));
  }
  return identity;
}

}  // namespace foliofs::server
