#include "foliofs/proto/frame.h"

#include <boost/endian/conversion.hpp>
#include <cstring>

#include "foliofs/base/limits.h"

namespace foliofs::proto {

namespace {

// Offsets of the fields in the header, in bytes.
constexpr std::size_t kMagicAt = 0, kTypeAt = 4, kFlagsAt = 6, kMetaAt = 8, kPayloadAt = 12;
constexpr std::size_t kSlotAt = 16, kSequenceAt = 20, kRequestIdAt = 24;

template <class T>
void put(HeaderBytes& bytes, std::size_t at, T value) {
  boost::endian::native_to_little_inplace(value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

template <class T>
T get(std::span<const std::byte, kHeaderBytes> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return boost::endian::little_to_native(value);
}

bool is_known(MessageType type) {
  return std::strcmp(message_name(type), "unknown") != 0;
}

}  // namespace

HeaderBytes encode_header(const FrameHeader& header) {
  HeaderBytes bytes;
  put(bytes, kMagicAt, kMagic);
  put(bytes, kTypeAt, static_cast<std::uint16_t>(header.type));
  put(bytes, kFlagsAt, header.flags);
  put(bytes, kMetaAt, header.meta_bytes);
  put(bytes, kPayloadAt, header.payload_bytes);
  put(bytes, kSlotAt, header.slot);
  put(bytes, kSequenceAt, header.sequence);
  put(bytes, kRequestIdAt, header.request_id);
  return bytes;
}

Result<FrameHeader> decode_header(std::span<const std::byte, kHeaderBytes> bytes) {
  FrameHeader header;
  header.type = static_cast<MessageType>(get<std::uint16_t>(bytes, kTypeAt));
  header.flags = get<std::uint16_t>(bytes, kFlagsAt);
  header.meta_bytes = get<std::uint32_t>(bytes, kMetaAt);
  header.payload_bytes = get<std::uint32_t>(bytes, kPayloadAt);
  header.slot = get<std::uint32_t>(bytes, kSlotAt);
  header.sequence = get<std::uint32_t>(bytes, kSequenceAt);
  header.request_id = get<std::uint64_t>(bytes, kRequestIdAt);

  constexpr std::uint16_t kKnownFlags = kFlagReply | kFlagError | kFlagNotice;
  const bool error_without_reply = header.is_error() && !header.is_reply();
  const bool replies_unasked = header.is_reply() && header.is_notice();
  if (get<std::uint32_t>(bytes, kMagicAt) != kMagic || (header.flags & ~kKnownFlags) != 0 ||
      error_without_reply || replies_unasked || !is_known(header.type) ||
      header.slot >= kMaxSlots || header.meta_bytes > kMaxMetaBytes ||
      header.payload_bytes > kMaxPayloadBytes) {
    return Errno(EPROTO);
  }
  return header;
}

std::uint32_t max_request_payload(MessageType type) {
  if (type == MessageType::kWrite) return kMaxPayloadBytes;
  return type == MessageType::kSetXattr ? kMaxXattrBytes : 0;
}

const char* message_name(MessageType type) {
  switch (type) {
    case MessageType::kHello:
      return "hello";
    case MessageType::kBye:
      return "bye";
    case MessageType::kPing:
      return "ping";
    case MessageType::kLookup:
      return "lookup";
    case MessageType::kCreate:
      return "create";
    case MessageType::kMknod:
      return "mknod";
    case MessageType::kMkdir:
      return "mkdir";
    case MessageType::kSymlink:
      return "symlink";
    case MessageType::kLink:
      return "link";
    case MessageType::kUnlink:
      return "unlink";
    case MessageType::kRename:
      return "rename";
    case MessageType::kReadlink:
      return "readlink";
    case MessageType::kReadDir:
      return "readdir";
    case MessageType::kGetAttr:
      return "getattr";
    case MessageType::kSetAttr:
      return "setattr";
    case MessageType::kStatFs:
      return "statfs";
    case MessageType::kOpen:
      return "open";
    case MessageType::kClose:
      return "close";
    case MessageType::kRead:
      return "read";
    case MessageType::kWrite:
      return "write";
    case MessageType::kCommit:
      return "commit";
    case MessageType::kAllocate:
      return "allocate";
    case MessageType::kSeek:
      return "seek";
    case MessageType::kCopyRange:
      return "copyrange";
    case MessageType::kLock:
      return "lock";
    case MessageType::kTestLock:
      return "testlock";
    case MessageType::kCancelLock:
      return "cancellock";
    case MessageType::kLockGranted:
      return "lockgranted";
    case MessageType::kGetXattr:
      return "getxattr";
    case MessageType::kSetXattr:
      return "setxattr";
    case MessageType::kListXattr:
      return "listxattr";
    case MessageType::kRemoveXattr:
      return "removexattr";
    case MessageType::kReturnLeases:
      return "returnleases";
    case MessageType::kLeasesRecalled:
      return "leasesrecalled";
  }
  return "unknown";
}

}  // namespace foliofs::proto
