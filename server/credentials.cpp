#include "server/credentials.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace foliofs::server {

namespace {

// libc's wrappers change all threads of the process, so these are the raw calls.

struct Capabilities {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};

  bool load() { return ::syscall(SYS_capget, &header, data.data()) == 0; }
  bool store() { return ::syscall(SYS_capset, &header, data.data()) == 0; }
  bool has(unsigned capability) const {
    return (data[capability / 32].effective >> (capability % 32) & 1u) != 0;
  }
  // Only if the thread is permitted the capability.
  void raise(unsigned capability) {
    auto& word = data[capability / 32];
    word.effective |= word.permitted & (std::uint32_t{1} << (capability % 32));
  }
  void drop(unsigned capability) {
    data[capability / 32].effective &= ~(std::uint32_t{1} << (capability % 32));
  }
};

// What lets a thread past file permissions: the kernel's CAP_FS_SET.
constexpr std::array kFileCapabilities{CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
                                       CAP_FOWNER, CAP_FSETID,       CAP_LINUX_IMMUTABLE,
                                       CAP_MKNOD,  CAP_MAC_OVERRIDE};

// What the kernel requires for administrators' extended attributes: `trusted.`, `security.` in
// general, file capabilities, and the labels of security modules.
constexpr std::array kAdministration{CAP_SYS_ADMIN, CAP_SETFCAP, CAP_MAC_ADMIN};

// Whether we ourselves have to drop the capabilities that let a thread past permissions. The kernel
// drops them when the fsuid changes from 0 to another uid, and restores them on the way back. It
// does neither for a server that has them without being uid 0 (ambient capabilities), or with
// SECBIT_NO_SETUID_FIXUP.
bool holds_file_capabilities() {
  static const bool holds = [] {
    Capabilities capabilities;
    if (!capabilities.load()) return false;
    const int bits = ::prctl(PR_GET_SECUREBITS);
    const bool kernel_does_it =
        ::geteuid() == 0 && bits >= 0 && (bits & SECBIT_NO_SETUID_FIXUP) == 0;
    return !kernel_does_it &&
           std::any_of(kFileCapabilities.begin(), kFileCapabilities.end(),
                       [&](unsigned capability) { return capabilities.has(capability); });
  }();
  return holds;
}

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

// The identity that the kernel has for this thread, once we have set it.
thread_local std::optional<Identity> current;
thread_local bool privileged = true;
// The thread's capabilities while it is privileged, without CAP_SYS_RESOURCE.
thread_local std::optional<Capabilities> own_capabilities;

bool prepare_thread() {
  if (own_capabilities) return true;
  Capabilities capabilities;
  if (!capabilities.load()) return false;
  capabilities.drop(CAP_SYS_RESOURCE);
  if (!capabilities.store()) return false;
  own_capabilities = capabilities;
  return true;
}

// To be called after the fsuid is set, which changes capabilities too.
bool set_privileged(bool wanted) {
  Capabilities capabilities = *own_capabilities;
  if (!wanted) {
    for (unsigned capability : kFileCapabilities) capabilities.drop(capability);
  }
  if (!capabilities.store()) return false;
  privileged = wanted;
  return true;
}

// setfsuid and setfsgid report no failure; asking for an impossible id returns the id in force.
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

namespace {

Status become(const Identity& identity, bool as_server) {
  const bool switches = can_act_as_others();
  const bool drops = holds_file_capabilities();
  if (!switches && !drops) return success();
  const bool wants_privilege = as_server || (switches && identity.uid == 0);
  if (current == identity && privileged == wants_privilege) return success();
  if (!prepare_thread()) return Errno(EPERM);
  const std::optional<Identity> from = std::exchange(current, std::nullopt);
  if (switches && from != identity && !switch_to(identity, from)) return Errno(EPERM);
  if (drops && !set_privileged(wants_privilege)) return Errno(EPERM);
  if (!drops) privileged = wants_privilege;
  current = identity;
  return success();
}

}  // namespace

Status act_as(const Identity& identity) {
  return become(identity, /*as_server=*/false);
}

Status act_as_server() {
  return become(server_identity(), /*as_server=*/true);
}

WithoutAdministration::WithoutAdministration(const Identity& caller) {
  if (caller.uid == 0 && can_act_as_others()) return;
  Capabilities capabilities;
  in_force_ = capabilities.load();
  const bool has_any =
      std::any_of(kAdministration.begin(), kAdministration.end(),
                  [&](unsigned capability) { return capabilities.has(capability); });
  if (!in_force_ || !has_any) return;
  for (unsigned capability : kAdministration) capabilities.drop(capability);
  dropped_ = in_force_ = capabilities.store();
}

WithoutAdministration::~WithoutAdministration() {
  if (!dropped_) return;
  const int kept_errno = errno;
  Capabilities capabilities;
  if (capabilities.load()) {
    for (unsigned capability : kAdministration) capabilities.raise(capability);
    (void)capabilities.store();
  }
  errno = kept_errno;
}

bool set_thread_umask(mode_t mask) {
  static thread_local const bool is_own = ::unshare(CLONE_FS) == 0;
  static thread_local std::optional<mode_t> in_force;
  if (!is_own) return false;
  if (in_force != mask) ::umask(mask);
  in_force = mask;
  return true;
}

}  // namespace foliofs::server
