// DiskEvent: what fanotify reports of a change, taken out of the bytes that were read.
//
// For groups with FAN_REPORT_DFID_NAME | FAN_REPORT_FID. Does not know what a handle refers to;
// disk_tree.h does.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace foliofs::server {

// The bytes of a `struct file_handle` with all that belongs to it. Empty when there is none.
using DiskHandle = std::string_view;

struct DiskEvent {
  std::uint64_t mask = 0;  // FAN_…
  pid_t process = 0;       // 0 when it is not of our pid namespace
  // Views into the buffer.
  DiskHandle directory;  // where the change is; the directory itself when that was changed
  DiskHandle file;       // what was changed, unless it is a directory or a name
};

// The first event of `unread`, which then begins behind it. Nothing when `unread` does not begin
// with a whole and sound event; then nothing behind it can be told either.
std::optional<DiskEvent> take_disk_event(std::span<const char>& unread);

}  // namespace foliofs::server
