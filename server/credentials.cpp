#include "server/credentials.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace foliofs::server {

namespace {

// The wrappers of libc change all threads of the process, so these are the raw calls.

struct Capabilities {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};

  bool load() { return ::syscall(SYS_capget, &header, data.data()) == 0; }
  bool store() { return ::syscall(SYS_capset, &header, data.data()) == 0; }
  bool has(unsigned capability) const {
    return (data[capability / 32].effective >> (capability % 32) & 1u) != 0;
  }
  void drop(unsigned capability) {
    data[capability / 32].effective &= ~(std::uint32_t{1} << (capability % 32));
  }
};

Identity own_identity() {
  Identity own;
  own.uid = ::geteuid();
  own.gid = ::getegid();
  const int count = ::getgroups(0, nullptr);
  own.groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  if (count > 0) ::getgroups(count, own.groups.data());
  return own;
}

const Identity& server_identity() {
  static const Identity own = own_identity();
  return own;
}

// What the kernel holds for this thread, once we have set it.
thread_local std::optional<Identity> current;
thread_local bool prepared = false;

bool prepare_thread() {
  Capabilities capabilities;
  if (!capabilities.load()) return false;
  capabilities.drop(CAP_SYS_RESOURCE);
  return capabilities.store();
}

// setfsuid and setfsgid report no failure; asking for an impossible id tells what is in force.
bool set_fsuid(uid_t uid) {
  ::syscall(SYS_setfsuid, uid);
  return static_cast<uid_t>(::syscall(SYS_setfsuid, -1)) == uid;
}

bool set_fsgid(gid_t gid) {
  ::syscall(SYS_setfsgid, gid);
  return static_cast<gid_t>(::syscall(SYS_setfsgid, -1)) == gid;
}

bool switch_to(const Identity& identity, const std::optional<Identity>& from) {
  if (!from || from->groups != identity.groups) {
    if (::syscall(SYS_setgroups, identity.groups.size(), identity.groups.data()) != 0) return false;
  }
  if ((!from || from->gid != identity.gid) && !set_fsgid(identity.gid)) return false;
  return (from && from->uid == identity.uid) || set_fsuid(identity.uid);
}

}  // namespace

bool can_act_as_others() {
  static const bool can = [] {
    Capabilities capabilities;
    return capabilities.load() && capabilities.has(CAP_SETUID) && capabilities.has(CAP_SETGID);
  }();
  return can;
}

Status act_as(const Identity& identity) {
  if (!can_act_as_others() || current == identity) return success();
  if (!prepared && !prepare_thread()) return Errno(EPERM);
  prepared = true;
  const std::optional<Identity> from = std::exchange(current, std::nullopt);
  if (!switch_to(identity, from)) return Errno(EPERM);
  current = identity;
  return success();
}

Status act_as_server() {
  return act_as(server_identity());
}

}  // namespace foliofs::server
