// DiskEvent: what fanotify reports about a change, parsed from the bytes read.
//
// For groups with FAN_REPORT_DFID_NAME | FAN_REPORT_FID. Does not know what a handle refers to; see
// disk_tree.h for that.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace foliofs::server {

// The bytes of a `struct file_handle` including its f_handle. Empty when there is none.
using DiskHandle = std::string_view;

struct DiskEvent {
  std::uint64_t mask = 0;  // FAN_…
  pid_t process = 0;       // 0 when it is not in our pid namespace
  // Views into the buffer.
  DiskHandle directory;  // where the change is; the directory itself if that has changed
  DiskHandle file;       // what has changed, unless it is a directory or a name
};

// Takes the first event off `unread`. nullopt when `unread` does not begin with a complete and
// valid event; then nothing that follows it can be parsed either.
std::optional<DiskEvent> take_disk_event(std::span<const char>& unread);

}  // namespace foliofs::server
