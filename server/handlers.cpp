#include "server/handlers.h"

#include <array>

namespace foliofs::server {

namespace {

Result<Reply> handle_nothing(Call&, Place) {
  return empty_reply();
}

template <class Request>
constexpr Handler handler(Result<Reply> (*run)(Call&, Place)) {
  Handler handler;
  handler.type = proto::Message<Request>::kType;
  handler.verify = [](std::span<const std::byte> meta) {
    return proto::view<Request>(meta) != nullptr;
  };
  handler.run = run;
  return handler;
}

// The request only asks, so a retry may execute again.
template <class Request>
constexpr Handler asks(Result<Reply> (*run)(Call&, Place)) {
  Handler asks = handler<Request>(run);
  asks.idempotent = true;
  return asks;
}

// The request changes only what the session holds, so a read-only session may send it.
template <class Request>
constexpr Handler holds(Result<Reply> (*run)(Call&, Place)) {
  return handler<Request>(run);
}

// Changes files or names.
template <class Request>
constexpr Handler changes(Result<Reply> (*run)(Call&, Place)) {
  Handler changes = handler<Request>(run);
  changes.waits_for_others = true;
  changes.blocks_others = true;
  return changes;
}

constexpr Handler trivial(Handler handler) {
  handler.trivial = true;
  return handler;
}

constexpr Handler waiting(Handler handler) {
  handler.waits_for_others = true;
  return handler;
}

constexpr Handler blocking(Handler handler) {
  handler.blocks_others = true;
  return handler;
}

// CREATE and OPEN check their flags themselves.
constexpr std::array kHandlers = {
    trivial(holds<wire::ByeRequest>(handle_nothing)),
    trivial(asks<wire::PingRequest>(handle_nothing)),
    waiting(asks<wire::LookupRequest>(handle_lookup)),
    waiting(blocking(holds<wire::CreateRequest>(handle_create))),
    changes<wire::MknodRequest>(handle_mknod),
    changes<wire::MkdirRequest>(handle_mkdir),
    changes<wire::SymlinkRequest>(handle_symlink),
    changes<wire::LinkRequest>(handle_link),
    changes<wire::UnlinkRequest>(handle_unlink),
    changes<wire::RenameRequest>(handle_rename),
    asks<wire::ReadlinkRequest>(handle_readlink),
    blocking(asks<wire::ReadDirRequest>(handle_read_dir)),
    asks<wire::GetAttrRequest>(handle_get_attr),
    changes<wire::SetAttrRequest>(handle_set_attr),
    asks<wire::StatFsRequest>(handle_stat_fs),
    holds<wire::OpenRequest>(handle_open),
    blocking(holds<wire::CloseRequest>(handle_close)),
    asks<wire::ReadRequest>(handle_read),
    changes<wire::WriteRequest>(handle_write),
    blocking(holds<wire::CommitRequest>(handle_commit)),
    trivial(holds<wire::LockRequest>(handle_lock)),
    trivial(asks<wire::TestLockRequest>(handle_test_lock)),
    trivial(holds<wire::CancelLockRequest>(handle_cancel_lock)),
    changes<wire::AllocateRequest>(handle_allocate),
    asks<wire::SeekRequest>(handle_seek),
    changes<wire::CopyRangeRequest>(handle_copy_range),
    asks<wire::GetXattrRequest>(handle_get_xattr),
    changes<wire::SetXattrRequest>(handle_set_xattr),
    asks<wire::ListXattrRequest>(handle_list_xattr),
    changes<wire::RemoveXattrRequest>(handle_remove_xattr),
    trivial(asks<wire::ReturnLeasesRequest>(handle_return_leases)),
};

constexpr std::size_t kTypes = 64;

constexpr std::array<const Handler*, kTypes> by_type() {
  std::array<const Handler*, kTypes> found{};
  for (const Handler& handler : kHandlers) found[static_cast<std::size_t>(handler.type)] = &handler;
  return found;
}

constexpr std::array<const Handler*, kTypes> kByType = by_type();

}  // namespace

const Handler* find_handler(proto::MessageType type) {
  const auto index = static_cast<std::size_t>(type);
  return index < kTypes ? kByType[index] : nullptr;
}

Result<Reply> run_handler(const Handler& handler, Call& call, Place place) {
  // CREATE may find the file there already, and so looks itself.
  const bool changes =
      proto::changes_export(handler.type) && handler.type != proto::MessageType::kCreate;
  if (changes && call.session->read_only()) return Errno(EROFS);
  return handler.run(call, place);
}

Status check_open_flags(const Call& call, int flags) {
  const int access = flags & O_ACCMODE;
  if (access == O_ACCMODE) return Errno(EINVAL);
  const bool modifies = access != O_RDONLY || (flags & O_TRUNC) != 0;
  if (modifies && call.session->read_only()) return Errno(EROFS);
  return success();
}

}  // namespace foliofs::server
