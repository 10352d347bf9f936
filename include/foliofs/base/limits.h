// Every bound that both ends of the wire rely on. A length is compared with one of these before it
// is believed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace foliofs {

inline constexpr std::uint16_t kDefaultPort = 7440;

// Largest FlatBuffers part of a frame, bytes. A READDIR reply is the largest there is.
inline constexpr std::uint32_t kMaxMetaBytes = 1u << 20;
// Largest raw payload of a frame, bytes; what one READ or WRITE may carry.
inline constexpr std::uint32_t kMaxPayloadBytes = 1u << 20;
// Pieces of a file that one WRITE may fill. With one part of a folio more for each, what is sent
// fits into one writev (IOV_MAX).
inline constexpr std::size_t kMaxWriteRanges = 256;

// Longest name of one component, bytes (NAME_MAX).
inline constexpr std::size_t kMaxNameBytes = 255;
// Longest symlink target, bytes (PATH_MAX less its NUL).
inline constexpr std::size_t kMaxSymlinkBytes = 4095;
// Longest name of an extended attribute, bytes (XATTR_NAME_MAX).
inline constexpr std::size_t kMaxXattrNameBytes = 255;
// Largest value of one, and of the list of a file's names (XATTR_SIZE_MAX, XATTR_LIST_MAX), bytes.
inline constexpr std::uint32_t kMaxXattrBytes = 65536;
// Longest file handle, bytes: the kernel's MAX_HANDLE_SZ, and our header and MAC.
inline constexpr std::size_t kMaxHandleBytes = 192;

// Leases that one message gives up.
inline constexpr std::size_t kMaxDroppedLeases = 2048;
// Supplementary groups that a call may carry (NGROUPS_MAX is 65536; the kernel's NFS server takes
// 16 of them, we take what fits in a small frame).
inline constexpr std::size_t kMaxGroups = 1024;

// Requests that one session may have in flight.
inline constexpr std::uint32_t kMaxSlots = 256;
inline constexpr std::uint32_t kDefaultSlots = 128;

// Leases. A client that has heard nothing from the server for kLeaseSilence believes none of them
// any more; a server gives one up that has not been returned kRecallPatience after its recall. What
// is between them is for messages on their way and for the client's kernel.
inline constexpr std::chrono::milliseconds kLeaseSilence{6'000};
inline constexpr std::chrono::milliseconds kRecallPatience{10'000};

}  // namespace foliofs
