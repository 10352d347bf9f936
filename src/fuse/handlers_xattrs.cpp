// The handlers of extended attributes. The kernel says how much room the caller has; a room of 0
// asks for the size that is needed.
#include <unistd.h>

#include <string_view>

#include "handlers.h"
#include "request.h"

namespace foliofs::fuse {

namespace {

// The errno for an attribute that a file does not have. The kernel does not cache it, and `ls -l`
// asks for the SELinux label of each file unless EOPNOTSUPP says that this filesystem has none.
// That is true enough if the kernel does not know SELinux.
Errno absence_of(std::string_view name) {
  static const bool knows_selinux = ::access("/sys/fs/selinux", F_OK) == 0;
  return Errno(name == "security.selinux" && !knows_selinux ? EOPNOTSUPP : ENODATA);
}

void finish_bytes(const RequestRef& request, const Result<std::vector<std::byte>>& bytes,
                  std::size_t room) {
  if (!bytes) {
    request->reply(bytes.error());
  } else if (room == 0) {
    request->reply_xattr_size(bytes.value().size());
  } else if (bytes.value().size() > room) {
    request->reply(Errno(ERANGE));
  } else {
    request->reply_bytes(bytes.value().data(), bytes.value().size());
  }
}

Task<void> run_getxattr(RequestRef request, vfs::NodeId node, std::string name, std::size_t room) {
  auto value = co_await request->operations().get_xattr(request->call(), node, name);
  if (!value && value.error() == Errno(ENODATA)) value = absence_of(name);
  finish_bytes(request, value, room);
}
void on_getxattr(fuse_req_t req, fuse_ino_t node, const char* name, std::size_t room) {
  if (context_of(req).mount->operations().lacks_xattr(node, name)) {
    fuse_reply_err(req, absence_of(name).value());
    return;
  }
  auto request = Request::make(req);
  start(request, run_getxattr(request, node, name, room));
}

Task<void> run_listxattr(RequestRef request, vfs::NodeId node, std::size_t room) {
  finish_bytes(request, co_await request->operations().list_xattrs(request->call(), node), room);
}
void on_listxattr(fuse_req_t req, fuse_ino_t node, std::size_t room) {
  auto request = Request::make(req);
  start(request, run_listxattr(request, node, room));
}

Task<void> run_setxattr(RequestRef request, vfs::NodeId node, std::string name,
                        std::vector<std::byte> value, int flags) {
  request->reply(co_await request->operations().set_xattr(request->call(), node, name,
                                                          std::move(value), flags));
}
void on_setxattr(fuse_req_t req, fuse_ino_t node, const char* name, const char* value,
                 std::size_t size, int flags) {
  auto request = Request::make(req);
  const auto* bytes = reinterpret_cast<const std::byte*>(value);
  start(request, run_setxattr(request, node, name, {bytes, bytes + size}, flags));
}

Task<void> run_removexattr(RequestRef request, vfs::NodeId node, std::string name) {
  request->reply(co_await request->operations().remove_xattr(request->call(), node, name));
}
void on_removexattr(fuse_req_t req, fuse_ino_t node, const char* name) {
  auto request = Request::make(req);
  start(request, run_removexattr(request, node, name));
}

}  // namespace

void add_xattr_handlers(fuse_lowlevel_ops& handlers) {
  handlers.getxattr = on_getxattr;
  handlers.listxattr = on_listxattr;
  handlers.setxattr = on_setxattr;
  handlers.removexattr = on_removexattr;
}

}  // namespace foliofs::fuse
