// FakeServer: extended attributes.
#include <sys/xattr.h>

#include "tests/unit/vfs/fake_server.h"

namespace foliofs::test {

FakeServer::Reply FakeServer::get_xattr(const wire::GetXattrRequestT& request) {
  ServerFile* file = find(request.handle);
  if (file == nullptr) return failed(ESTALE);
  auto found = file->xattrs.find(request.name);
  if (found == file->xattrs.end()) return failed(ENODATA);
  wire::XattrReplyT made;
  made.attributes = attributes_of(*file);
  Reply reply = encoded(made);
  reply.payload = found->second;
  return reply;
}

FakeServer::Reply FakeServer::list_xattr(const wire::ListXattrRequestT& request) {
  ServerFile* file = find(request.handle);
  if (file == nullptr) return failed(ESTALE);
  wire::XattrReplyT made;
  made.attributes = attributes_of(*file);
  Reply reply = encoded(made);
  for (const auto& [name, value] : file->xattrs) reply.payload += name + '\0';
  return reply;
}

FakeServer::Reply FakeServer::set_xattr(const Frame& frame) {
  auto request = proto::decode<wire::SetXattrRequest>(frame.meta);
  if (!request) return failed(EPROTO);
  seen.push_back({MessageType::kSetXattr, request.value().caller->uid, false});
  if (auto fails_with = fails.find(MessageType::kSetXattr); fails_with != fails.end()) {
    return failed(fails_with->second);
  }
  ServerFile* file = find(request.value().handle);
  if (file == nullptr) return failed(ESTALE);
  const bool there = file->xattrs.contains(request.value().name);
  if (there && (request.value().flags & XATTR_CREATE) != 0) return failed(EEXIST);
  if (!there && (request.value().flags & XATTR_REPLACE) != 0) return failed(ENODATA);
  const auto* bytes = reinterpret_cast<const char*>(frame.payload.data());
  file->xattrs[request.value().name] = {bytes, frame.payload.size()};
  file->ctime_ns = ++time_ns_;
  wire::AttrReplyT reply;
  reply.attributes = attributes_of(*file);
  return encoded(reply);
}

FakeServer::Reply FakeServer::remove_xattr(const wire::RemoveXattrRequestT& request) {
  ServerFile* file = find(request.handle);
  if (file == nullptr) return failed(ESTALE);
  if (file->xattrs.erase(request.name) == 0) return failed(ENODATA);
  file->ctime_ns = ++time_ns_;
  wire::AttrReplyT reply;
  reply.attributes = attributes_of(*file);
  return encoded(reply);
}

}  // namespace foliofs::test
