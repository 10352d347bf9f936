// Extended attributes. Their values are not cached, but the client remembers which ones a file does
// not have (absent_xattrs.h).
#include <linux/xattr.h>
#include <sys/xattr.h>

#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// Fetches a value or a list of names.
template <class Request>
Task<Result<std::vector<std::byte>>> fetch(MountCore& core, InodeRef inode,
                                           typename Request::NativeTableType request) {
  std::vector<std::byte> bytes(kMaxXattrBytes);
  const iovec into{bytes.data(), bytes.size()};
  rpc::Payload payload;
  payload.receive = std::span(&into, 1);
  auto reply = co_await core.exchange_on<Request>(inode, &Request::NativeTableType::handle,
                                                  std::move(request), payload);
  if (!reply) co_return reply.error();
  const auto* table = proto::view<wire::XattrReply>(reply.value().meta);
  if (table == nullptr || table->attributes() == nullptr) co_return Errno(EPROTO);
  // The next request for attributes deals with the change. This one must not wait for that, because
  // the kernel may be waiting for us with the file locked.
  if (changed_by_others(inode->attributes, from_wire(*table->attributes()))) {
    inode->attributes_expire = {};
  }
  bytes.resize(reply.value().payload_bytes);
  co_return bytes;
}

// Takes over the reply to a change.
Status take_change(MountCore& core, Inode& inode, const rpc::RawReply& reply,
                   std::uint64_t asked_at) {
  const auto* table = proto::view<wire::AttrReply>(reply.meta);
  if (table == nullptr || table->attributes() == nullptr) return Errno(EPROTO);
  core.attributes.take_own_change(inode, from_wire(*table->attributes()), asked_at);
  return success();
}

wire::GetXattrRequestT get_request(const Call& call, const std::string& name) {
  wire::GetXattrRequestT request;
  request.caller = caller_of(call);
  request.name = name;
  return request;
}

}  // namespace

bool Operations::lacks_xattr(NodeId node, std::string_view name) const {
  InodeRef inode = core_.inodes.find(node);
  if (!inode || !core_.attributes.are_believed(*inode)) return false;
  return inode->absent_xattrs.contains(name, inode->attributes);
}

Task<Result<std::vector<std::byte>>> Operations::get_xattr(Call call, NodeId node,
                                                           std::string name) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  const std::uint64_t asked_at = core_.logical_time;
  const Attributes before = inode->attributes;
  auto value = co_await fetch<wire::GetXattrRequest>(core_, inode, get_request(call, name));
  if (value && name == XATTR_NAME_CAPS && inode->dirty()) {
    // The bytes that are stored here take the capability away.
    (void)co_await core_.write_back(inode);
    value = co_await fetch<wire::GetXattrRequest>(core_, inode, get_request(call, name));
  }
  // An answer from before somebody's change says nothing about the time after it.
  const bool still_so =
      inode->changed_at <= asked_at && !changed_by_others(before, inode->attributes);
  if (!value && value.error() == Errno(ENODATA) && still_so) {
    inode->absent_xattrs.add(before, std::move(name));
  }
  co_return value;
}

Task<Result<std::vector<std::byte>>> Operations::list_xattrs(Call call, NodeId node) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  (void)co_await core_.write_back(inode);
  wire::ListXattrRequestT request;
  request.caller = caller_of(call);
  co_return co_await fetch<wire::ListXattrRequest>(core_, inode, std::move(request));
}

Task<Status> Operations::set_xattr(Call call, NodeId node, std::string name,
                                   std::vector<std::byte> value, int flags) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  if (core_.options.read_only) co_return Errno(EROFS);
  if (value.size() > kMaxXattrBytes) co_return Errno(E2BIG);
  (void)co_await core_.write_back(inode);
  wire::SetXattrRequestT request;
  request.caller = caller_of(call);
  request.name = std::move(name);
  request.flags = static_cast<std::uint32_t>(flags);
  const iovec from{value.data(), value.size()};
  rpc::Payload payload;
  payload.send = std::span(&from, 1);
  const std::uint64_t asked_at = core_.logical_time;
  bool retried = false;
  auto reply = co_await core_.exchange_on<wire::SetXattrRequest>(
      inode, &wire::SetXattrRequestT::handle, std::move(request), payload, &retried);
  // Whatever the answer is, the server may have done it.
  inode->absent_xattrs = {};
  if (reply) co_return take_change(core_, *inode, reply.value(), asked_at);
  core_.attributes.forget(*inode);
  // Sent twice because the server restarted in between: the first one made it.
  const bool made_before = retried && (flags & XATTR_CREATE) != 0;
  if (made_before && reply.error() == Errno(EEXIST)) co_return success();
  co_return reply.error();
}

Task<Status> Operations::remove_xattr(Call call, NodeId node, std::string name) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  if (core_.options.read_only) co_return Errno(EROFS);
  (void)co_await core_.write_back(inode);
  // The kernel lets no unprivileged program remove this attribute. It removes it by itself before
  // such a program changes the file. The server does the same when the change is made there.
  const bool by_kernel = name == XATTR_NAME_CAPS && call.caller.uid != 0;
  wire::RemoveXattrRequestT request;
  request.caller = caller_of(call);
  request.name = std::move(name);
  const std::uint64_t asked_at = core_.logical_time;
  bool retried = false;
  auto reply = co_await core_.exchange_on<wire::RemoveXattrRequest>(
      inode, &wire::RemoveXattrRequestT::handle, std::move(request), {}, &retried);
  if (reply) co_return take_change(core_, *inode, reply.value(), asked_at);
  if (by_kernel && reply.error() == Errno(EPERM)) co_return success();
  core_.attributes.forget(*inode);
  if (retried && reply.error() == Errno(ENODATA)) co_return success();
  co_return reply.error();
}

}  // namespace foliofs::vfs
