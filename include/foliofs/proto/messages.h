// Which tables belong to which message type, how tables are encoded as frame metadata and decoded,
// and what is a valid name.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "foliofs/base/result.h"
#include "foliofs/proto/foliofs_generated.h"
#include "foliofs/proto/frame.h"

namespace foliofs::proto {

// SetAttrRequest::valid
enum SetAttrField : std::uint32_t {
  kSetMode = 1u << 0,
  kSetUid = 1u << 1,
  kSetGid = 1u << 2,
  kSetSize = 1u << 3,
  kSetAtime = 1u << 4,
  kSetMtime = 1u << 5,
  kSetAtimeNow = 1u << 6,  // the server's clock
  kSetMtimeNow = 1u << 7,
  kSetKillPrivileges = 1u << 8,  // with kSetSize: clear setuid, setgid and capabilities
};

// WriteRequest::flags
enum WriteFlag : std::uint32_t {
  kWriteInvalidation = 1u << 0,    // the flush belongs to an invalidation (the RFC's wbc flag)
  kWriteSetMtime = 1u << 1,        // set mtime to WriteRequest::mtime_ns after writing
  kWriteAppend = 1u << 2,          // write at the present end of the file; `offset` does not count
  kWriteKillPrivileges = 1u << 3,  // clear setuid, setgid and capabilities
  kWriteRanges = 1u << 4,          // write to WriteRequest::ranges; `offset` does not count
};

// Attributes::flags
enum AttributeFlag : std::uint32_t {
  // At this version of the file, or a later one, it had neither an ACL nor an attribute in
  // `security.`. Without the flag nothing is known about them.
  kNoSecurityXattrs = 1u << 0,
  // The session holds a lease of the file.
  kLeased = 1u << 1,
  // In the reply to the CREATE that has made the file: no other session is shown the file before
  // that lease is returned, or the open of that CREATE closed.
  kExclusive = 1u << 2,
};

// HelloRequest::features, HelloReply::features
enum Feature : std::uint64_t {
  kFeatureLeases = 1u << 0,
};

// Maps a request table to its message type and its reply table. Specialized below for each.
template <class Request>
struct Message;

#define FOLIOFS_MESSAGE(REQUEST, REPLY, TYPE)               \
  template <>                                               \
  struct Message<wire::REQUEST> {                           \
    static constexpr MessageType kType = MessageType::TYPE; \
    using Reply = wire::REPLY;                              \
  }
FOLIOFS_MESSAGE(HelloRequest, HelloReply, kHello);
FOLIOFS_MESSAGE(ByeRequest, Empty, kBye);
FOLIOFS_MESSAGE(PingRequest, Empty, kPing);
FOLIOFS_MESSAGE(LookupRequest, EntryReply, kLookup);
FOLIOFS_MESSAGE(CreateRequest, CreateReply, kCreate);
FOLIOFS_MESSAGE(MknodRequest, EntryReply, kMknod);
FOLIOFS_MESSAGE(MkdirRequest, EntryReply, kMkdir);
FOLIOFS_MESSAGE(SymlinkRequest, EntryReply, kSymlink);
FOLIOFS_MESSAGE(LinkRequest, EntryReply, kLink);
FOLIOFS_MESSAGE(UnlinkRequest, UnlinkReply, kUnlink);
FOLIOFS_MESSAGE(RenameRequest, RenameReply, kRename);
FOLIOFS_MESSAGE(ReadlinkRequest, ReadlinkReply, kReadlink);
FOLIOFS_MESSAGE(ReadDirRequest, ReadDirReply, kReadDir);
FOLIOFS_MESSAGE(GetAttrRequest, AttrReply, kGetAttr);
FOLIOFS_MESSAGE(SetAttrRequest, AttrReply, kSetAttr);
FOLIOFS_MESSAGE(StatFsRequest, StatFsReply, kStatFs);
FOLIOFS_MESSAGE(OpenRequest, OpenReply, kOpen);
FOLIOFS_MESSAGE(CloseRequest, Empty, kClose);
FOLIOFS_MESSAGE(ReadRequest, ReadReply, kRead);
FOLIOFS_MESSAGE(WriteRequest, WriteReply, kWrite);
FOLIOFS_MESSAGE(CommitRequest, AttrReply, kCommit);
FOLIOFS_MESSAGE(AllocateRequest, AttrReply, kAllocate);
FOLIOFS_MESSAGE(SeekRequest, SeekReply, kSeek);
FOLIOFS_MESSAGE(CopyRangeRequest, CopyRangeReply, kCopyRange);
FOLIOFS_MESSAGE(LockRequest, LockReply, kLock);
FOLIOFS_MESSAGE(TestLockRequest, TestLockReply, kTestLock);
FOLIOFS_MESSAGE(CancelLockRequest, Empty, kCancelLock);
FOLIOFS_MESSAGE(ReturnLeasesRequest, Empty, kReturnLeases);
FOLIOFS_MESSAGE(GetXattrRequest, XattrReply, kGetXattr);
FOLIOFS_MESSAGE(SetXattrRequest, AttrReply, kSetXattr);
FOLIOFS_MESSAGE(ListXattrRequest, XattrReply, kListXattr);
FOLIOFS_MESSAGE(RemoveXattrRequest, AttrReply, kRemoveXattr);
#undef FOLIOFS_MESSAGE

// Serialized metadata; owns its bytes.
using MetaBuffer = flatbuffers::DetachedBuffer;

// Tables travel as the object API's native structs (wire::LookupRequestT for wire::LookupRequest).
template <class Native>
MetaBuffer encode(const Native& native) {
  using Table = typename Native::TableType;
  flatbuffers::FlatBufferBuilder builder(256);
  builder.Finish(Table::Pack(builder, &native));
  return builder.Release();
}

// Verifies the table in `meta` and returns a pointer into `meta`; nullptr when the bytes are not
// such a table.
template <class Table>
const Table* view(std::span<const std::byte> meta) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(meta.data());
  flatbuffers::Verifier verifier(bytes, meta.size(), /*max_depth=*/8, /*max_tables=*/65536);
  if (!verifier.VerifyBuffer<Table>(nullptr)) return nullptr;
  return flatbuffers::GetRoot<Table>(bytes);
}

// Verifies and unpacks the table in `meta`; EPROTO when the bytes are not such a table.
template <class Table>
Result<typename Table::NativeTableType> decode(std::span<const std::byte> meta) {
  const Table* table = view<Table>(meta);
  if (table == nullptr) return Errno(EPROTO);
  typename Table::NativeTableType native;
  table->UnPackTo(&native);
  return native;
}

// Whether `name` is a valid component: 1 to kMaxNameBytes bytes, no '/' and no NUL, neither "." nor
// "..". EINVAL, or ENAMETOOLONG when it is too long.
Status check_name(std::string_view name);

}  // namespace foliofs::proto
