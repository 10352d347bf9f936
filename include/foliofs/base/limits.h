// The limits that both ends of the wire rely on. Every length is checked against one of these
// before it is used.
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
// Ranges of a file that one WRITE may fill. Even if each range adds one partial folio, all parts of
// the message fit into one writev (IOV_MAX).
inline constexpr std::size_t kMaxWriteRanges = 256;

// Longest name of one component, bytes (NAME_MAX).
inline constexpr std::size_t kMaxNameBytes = 255;
// Longest symlink target, bytes (PATH_MAX less its NUL).
inline constexpr std::size_t kMaxSymlinkBytes = 4095;
// Longest name of an extended attribute, bytes (XATTR_NAME_MAX).
inline constexpr std::size_t kMaxXattrNameBytes = 255;
// Largest value of an extended attribute, and largest list of a file's attribute names
// (XATTR_SIZE_MAX, XATTR_LIST_MAX), bytes.
inline constexpr std::uint32_t kMaxXattrBytes = 65536;
// Longest file handle, bytes: the kernel's MAX_HANDLE_SZ, and our header and MAC.
inline constexpr std::size_t kMaxHandleBytes = 192;

// Leases that one message may give up.
inline constexpr std::size_t kMaxDroppedLeases = 2048;
// Supplementary groups that a call may carry (NGROUPS_MAX is 65536; the kernel's NFS server takes
// 16 of them, we take what fits in a small frame).
inline constexpr std::size_t kMaxGroups = 1024;

// Requests that one session may have in flight.
inline constexpr std::uint32_t kMaxSlots = 256;
inline constexpr std::uint32_t kDefaultSlots = 128;

// A client that has heard nothing from the server for kLeaseSilence stops relying on its leases.
// The server takes a lease away that the client has not returned kRecallPatience after its recall.
// The difference leaves time for messages in transit and for the client's kernel.
inline constexpr std::chrono::milliseconds kLeaseSilence{6'000};
inline constexpr std::chrono::milliseconds kRecallPatience{10'000};

}  // namespace foliofs
