// What the handlers share. Private to them.
#pragma once

#include <sys/stat.h>

#include <string>

#include "server/call.h"

namespace foliofs::server {

template <class Request>
const Request& request_of(const Call& call) {
  return *flatbuffers::GetRoot<Request>(call.meta.data());
}

inline HandleView handle_view(const flatbuffers::Vector<std::uint8_t>* bytes) {
  if (bytes == nullptr) return {};
  return {bytes->data(), bytes->size()};
}

// `call` and `identity` must outlive the returned context.
inline CallContext context_for(Call& call, const Identity& identity, Place place) {
  return {identity, call.session->number(),
          place == Place::kLoop ? Waiting::kNever : Waiting::kAllowed, &call.session->leases(),
          &call.recalls};
}

// Who makes the call, and whether the call may wait. `call` must outlive it.
class Caller {
 public:
  Caller(Call& call, Identity identity, Place place)
      : call_(call), identity_(std::move(identity)), place_(place) {}

  // Refers to this Caller, which must not move while the context is in use.
  CallContext context() const { return context_for(call_, identity_, place_); }
  const Identity& identity() const { return identity_; }

 private:
  Call& call_;
  Identity identity_;
  Place place_;
};

inline Result<Caller> caller_of(Call& call, const wire::Caller* caller, Place place) {
  BOOST_OUTCOME_TRY(auto identity, map_caller(call.session->share().options.squash, caller));
  return Caller(call, std::move(identity), place);
}

// Builds a reply with one table. `build(builder)` returns the table's offset.
template <class Build>
Reply build_reply(Build build, Buffer payload = {}) {
  flatbuffers::FlatBufferBuilder builder(256);
  builder.Finish(build(builder));
  return make_reply(builder.Release(), std::move(payload));
}

inline Reply empty_reply() {
  return build_reply([](auto& builder) { return wire::CreateEmpty(builder); });
}

inline flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> put_handle(
    flatbuffers::FlatBufferBuilder& builder, const Handle& handle) {
  return builder.CreateVector(handle.data(), handle.size());
}

inline Reply attributes_reply(const wire::Attributes& attributes) {
  return build_reply([&](auto& builder) { return wire::CreateAttrReply(builder, &attributes); });
}

// Names: handlers_names.cpp.
Result<Reply> handle_lookup(Call& call, Place place);
Result<Reply> handle_create(Call& call, Place place);
Result<Reply> handle_mknod(Call& call, Place place);
Result<Reply> handle_mkdir(Call& call, Place place);
Result<Reply> handle_symlink(Call& call, Place place);
Result<Reply> handle_link(Call& call, Place place);
Result<Reply> handle_unlink(Call& call, Place place);
Result<Reply> handle_rename(Call& call, Place place);
Result<Reply> handle_readlink(Call& call, Place place);
Result<Reply> handle_read_dir(Call& call, Place place);
// Attributes and open files: handlers_files.cpp.
Result<Reply> handle_get_attr(Call& call, Place place);
Result<Reply> handle_set_attr(Call& call, Place place);
Result<Reply> handle_stat_fs(Call& call, Place place);
Result<Reply> handle_open(Call& call, Place place);
Result<Reply> handle_close(Call& call, Place place);
Result<Reply> handle_read(Call& call, Place place);
Result<Reply> handle_write(Call& call, Place place);
Result<Reply> handle_commit(Call& call, Place place);
// Ranges of open files: handlers_ranges.cpp.
Result<Reply> handle_allocate(Call& call, Place place);
Result<Reply> handle_seek(Call& call, Place place);
Result<Reply> handle_copy_range(Call& call, Place place);
// Extended attributes: handlers_xattrs.cpp.
Result<Reply> handle_get_xattr(Call& call, Place place);
Result<Reply> handle_set_xattr(Call& call, Place place);
Result<Reply> handle_list_xattr(Call& call, Place place);
Result<Reply> handle_remove_xattr(Call& call, Place place);
// Locks: handlers_locks.cpp.
Result<Reply> handle_lock(Call& call, Place place);
Result<Reply> handle_test_lock(Call& call, Place place);
Result<Reply> handle_cancel_lock(Call& call, Place place);
// Leases: handlers_leases.cpp.
Result<Reply> handle_return_leases(Call& call, Place place);

// Call after the session has closed `file`: drops the session's locks on it if that was the last
// open.
void drop_locks_if_closed(const Call& call, const OpenFile& file);

// For OPEN and CREATE. EINVAL for flags that are no access mode; EROFS for flags that modify in a
// read-only session.
Status check_open_flags(const Call& call, int flags);

}  // namespace foliofs::server
