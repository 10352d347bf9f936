// The frame around every message: a fixed little-endian header, FlatBuffers metadata, raw payload.
//
// Defines only the layout of the bytes and their bounds. The messages themselves are in messages.h;
// the session on either side decides who may send what, and in which order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "foliofs/base/result.h"

namespace foliofs::proto {

inline constexpr std::uint32_t kMagic = 0x4f494c46;  // "FLIO"
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kHeaderBytes = 32;

enum class MessageType : std::uint16_t {
  kHello = 1,
  kBye = 2,
  kPing = 3,
  kLookup = 10,
  kCreate = 11,
  kMknod = 12,
  kMkdir = 13,
  kSymlink = 14,
  kLink = 15,
  kUnlink = 16,
  kRename = 17,
  kReadlink = 18,
  kReadDir = 19,
  kGetAttr = 30,
  kSetAttr = 31,
  kStatFs = 32,
  kOpen = 40,
  kClose = 41,
  kRead = 42,
  kWrite = 43,
  kCommit = 44,
  kAllocate = 45,
  kSeek = 46,
  kCopyRange = 47,
  kOpensWanted = 48,
  kLock = 50,
  kTestLock = 51,
  kCancelLock = 52,
  kLockGranted = 53,
  kGetXattr = 55,
  kSetXattr = 56,
  kListXattr = 57,
  kRemoveXattr = 58,
  kReturnLeases = 60,
  kLeasesRecalled = 61,
};

enum FrameFlag : std::uint16_t {
  kFlagReply = 1u << 0,   // answers the request with the same request id
  kFlagError = 1u << 1,   // with kFlagReply: the metadata is an ErrorReply
  kFlagNotice = 1u << 2,  // from the server, without a reply. Slot, sequence and id are 0
};

struct FrameHeader {
  MessageType type{};
  std::uint16_t flags = 0;
  std::uint32_t meta_bytes = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t slot = 0;        // of the session; 0 in Hello
  std::uint32_t sequence = 0;    // of the slot: one more for each new request, the same for a retry
  std::uint64_t request_id = 0;  // unique in the session; the reply repeats it

  bool is_reply() const { return (flags & kFlagReply) != 0; }
  bool is_error() const { return (flags & kFlagError) != 0; }
  bool is_notice() const { return (flags & kFlagNotice) != 0; }
};

using HeaderBytes = std::array<std::byte, kHeaderBytes>;

HeaderBytes encode_header(const FrameHeader& header);

// EPROTO when the magic, type, flags, slot or a length is not valid in this version.
Result<FrameHeader> decode_header(std::span<const std::byte, kHeaderBytes> bytes);

// The largest payload that a request of this type may have, bytes; 0 if it has none.
std::uint32_t max_request_payload(MessageType type);

// The name in logs, statistics and docs: "write" for kWrite. "unknown" when there is no such type.
const char* message_name(MessageType type);

// Whether a request of this type may change a file, a name or an attribute of the export.
bool changes_export(MessageType type);

}  // namespace foliofs::proto
