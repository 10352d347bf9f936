#include "foliofs/proto/frame.h"

#include <array>
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

// Indexed by the type's number.
constexpr auto kNames = [] {
  std::array<const char*, 64> names{};
  auto name = [&](MessageType type, const char* text) {
    names[static_cast<std::size_t>(type)] = text;
  };
  name(MessageType::kHello, "hello");
  name(MessageType::kBye, "bye");
  name(MessageType::kPing, "ping");
  name(MessageType::kLookup, "lookup");
  name(MessageType::kCreate, "create");
  name(MessageType::kMknod, "mknod");
  name(MessageType::kMkdir, "mkdir");
  name(MessageType::kSymlink, "symlink");
  name(MessageType::kLink, "link");
  name(MessageType::kUnlink, "unlink");
  name(MessageType::kRename, "rename");
  name(MessageType::kReadlink, "readlink");
  name(MessageType::kReadDir, "readdir");
  name(MessageType::kGetAttr, "getattr");
  name(MessageType::kSetAttr, "setattr");
  name(MessageType::kStatFs, "statfs");
  name(MessageType::kOpen, "open");
  name(MessageType::kClose, "close");
  name(MessageType::kRead, "read");
  name(MessageType::kWrite, "write");
  name(MessageType::kCommit, "commit");
  name(MessageType::kAllocate, "allocate");
  name(MessageType::kSeek, "seek");
  name(MessageType::kCopyRange, "copyrange");
  name(MessageType::kOpensWanted, "openswanted");
  name(MessageType::kLock, "lock");
  name(MessageType::kTestLock, "testlock");
  name(MessageType::kCancelLock, "cancellock");
  name(MessageType::kLockGranted, "lockgranted");
  name(MessageType::kGetXattr, "getxattr");
  name(MessageType::kSetXattr, "setxattr");
  name(MessageType::kListXattr, "listxattr");
  name(MessageType::kRemoveXattr, "removexattr");
  name(MessageType::kReturnLeases, "returnleases");
  name(MessageType::kLeasesRecalled, "leasesrecalled");
  return names;
}();

// nullptr: there is no such type.
const char* find_name(MessageType type) {
  const auto number = static_cast<std::size_t>(type);
  return number < kNames.size() ? kNames[number] : nullptr;
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
      error_without_reply || replies_unasked || find_name(header.type) == nullptr ||
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

bool changes_export(MessageType type) {
  switch (type) {
    case MessageType::kCreate:
    case MessageType::kMknod:
    case MessageType::kMkdir:
    case MessageType::kSymlink:
    case MessageType::kLink:
    case MessageType::kUnlink:
    case MessageType::kRename:
    case MessageType::kSetAttr:
    case MessageType::kWrite:
    case MessageType::kAllocate:
    case MessageType::kCopyRange:
    case MessageType::kSetXattr:
    case MessageType::kRemoveXattr:
      return true;
    default:
      return false;
  }
}

const char* message_name(MessageType type) {
  const char* name = find_name(type);
  return name != nullptr ? name : "unknown";
}

}  // namespace foliofs::proto
