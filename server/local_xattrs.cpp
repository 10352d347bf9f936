// LocalStore: extended attributes, and the mode of a new file.
//
// The calls use /proc/self/fd, whose links lead to the very file that an O_PATH descriptor refers
// to, even if that is a symlink.
#include <sys/xattr.h>

#include <array>
#include <optional>
#include <string_view>

#include "server/change_scope.h"
#include "server/credentials.h"
#include "server/fd_path.h"
#include "server/local_calls.h"
#include "server/local_file.h"
#include "server/local_store.h"

namespace foliofs::server {

namespace {

// Names that the kernel reserves for administrators, or shows only to them.
bool is_for_administrators(XattrName name) {
  const std::string_view text = name.c_str();
  return text.starts_with("trusted.") || text.starts_with("security.");
}

// Makes one call with the caller's rights. `call` returns the result of the system call.
template <class Call>
Result<std::size_t> make_call(const CallContext& context, bool for_administrators, Call call) {
  std::optional<WithoutAdministration> scope;
  if (for_administrators) {
    scope.emplace(context.caller);
    if (!scope->in_force()) return Errno(EPERM);
  }
  const ssize_t result = call();
  if (result < 0) return last_errno();
  return static_cast<std::size_t>(result);
}

}  // namespace

Result<std::size_t> LocalStore::get_xattr(const CallContext& context, HandleView file,
                                          XattrName name, std::span<std::byte> into) {
  BOOST_OUTCOME_TRY(auto node, resolve_as(context, file));
  const FdPath path(node->fd.get());
  return make_call(context, is_for_administrators(name), [&] {
    return ::getxattr(path.c_str(), name.c_str(), into.data(), into.size());
  });
}

Result<std::size_t> LocalStore::list_xattrs(const CallContext& context, HandleView file,
                                            std::span<std::byte> into) {
  BOOST_OUTCOME_TRY(auto node, resolve_as(context, file));
  const FdPath path(node->fd.get());
  return make_call(context, /*for_administrators=*/true, [&] {
    return ::listxattr(path.c_str(), reinterpret_cast<char*>(into.data()), into.size());
  });
}

Result<wire::Attributes> LocalStore::set_xattr(const CallContext& context, HandleView file,
                                               XattrName name, std::span<const std::byte> value,
                                               int flags) {
  BOOST_OUTCOME_TRY(auto node, resolve_as(context, file));
  const FdPath path(node->fd.get());
  ChangeScope change(*this, *node, context);
  BOOST_OUTCOME_TRYV(make_call(context, is_for_administrators(name), [&] {
    return ::setxattr(path.c_str(), name.c_str(), value.data(), value.size(), flags);
  }));
  return change.finish(true);
}

Result<wire::Attributes> LocalStore::remove_xattr(const CallContext& context, HandleView file,
                                                  XattrName name) {
  BOOST_OUTCOME_TRY(auto node, resolve_as(context, file));
  const FdPath path(node->fd.get());
  ChangeScope change(*this, *node, context);
  BOOST_OUTCOME_TRYV(make_call(context, is_for_administrators(name),
                               [&] { return ::removexattr(path.c_str(), name.c_str()); }));
  return change.finish(true);
}

bool LocalStore::has_security_xattrs(int fd) const {
  const FdPath path(fd);
  const auto is_possible = [&](const char* name) {
    return ::getxattr(path.c_str(), name, nullptr, 0) >= 0 || errno == ENODATA;
  };
  return is_possible("system.posix_acl_access") && is_possible("security.capability");
}

// The kernel lists names of this kind to everybody.
std::uint32_t LocalStore::security_flag(int fd) {
  std::array<char, 1024> names;
  const ssize_t length = ::listxattr(FdPath(fd).c_str(), names.data(), names.size());
  if (length < 0) return 0;
  std::string_view rest(names.data(), static_cast<std::size_t>(length));
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find('\0'));
    if (name.starts_with("security.") || name.starts_with("system.posix_acl_")) return 0;
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
  }
  return proto::kNoSecurityXattrs;
}

// The kernel knows best when the umask applies. Where a thread may not have one of its own (some
// containers forbid unshare), the process's umask is 0, and we have to check for a default ACL
// ourselves.
mode_t apply_umask(int directory, CreationMode mode) {
  if (set_thread_umask(mode.umask)) return mode.bits;
  const FdPath path(directory);
  const bool has_default_acl = ::getxattr(path.c_str(), "system.posix_acl_default", nullptr, 0) > 0;
  return has_default_acl ? mode.bits : mode.bits & ~mode.umask;
}

// A chown(2) that changes no owner clears them.
Result<bool> kill_set_id_bits(int fd) {
  struct statx info {};
  if (!look_at(fd, info)) return last_errno();
  if (!S_ISREG(info.stx_mode) || (info.stx_mode & (S_ISUID | S_ISGID)) == 0) return false;
  BOOST_OUTCOME_TRYV(act_as_server());
  const auto keep = static_cast<unsigned>(-1);
  if (::fchownat(fd, "", keep, keep, AT_EMPTY_PATH) == 0) return true;
  if (errno != EPERM && errno != EACCES) return last_errno();
  return false;
}

Status LocalStore::drop_set_id_bits(const CallContext& context, OpenFile& file) {
  auto& local = static_cast<LocalFile&>(file);
  if ((::fcntl(local.fd(), F_GETFL) & O_ACCMODE) == O_RDONLY) return Errno(EBADF);
  ChangeScope change(*this, local.fd(), local.inode(), context);
  BOOST_OUTCOME_TRY(const bool taken, kill_set_id_bits(local.fd()));
  if (taken) change.touched();
  return success();
}

}  // namespace foliofs::server
