#include "server/disk_event.h"

#include <fcntl.h>
#include <sys/fanotify.h>

#include <cstddef>
#include <cstring>
#include <type_traits>

namespace foliofs::server {

namespace {

// Events and their records may be unaligned.
template <class T>
bool read_head(std::span<const char> bytes, T& head) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (bytes.size() < sizeof head) return false;
  std::memcpy(&head, bytes.data(), sizeof head);
  return true;
}

// The handle in a record of type fanotify_event_info_fid; a name may follow it.
DiskHandle handle_in(std::span<const char> record) {
  constexpr std::size_t kHandleAt = offsetof(fanotify_event_info_fid, handle);
  if (record.size() < kHandleAt) return {};
  const auto bytes = record.subspan(kHandleAt);
  struct file_handle head;
  if (!read_head(bytes, head) || head.handle_bytes > bytes.size() - sizeof head) return {};
  return {bytes.data(), sizeof head + head.handle_bytes};
}

}  // namespace

std::optional<DiskEvent> take_disk_event(std::span<const char>& unread) {
  fanotify_event_metadata head;
  if (!read_head(unread, head) || head.vers != FANOTIFY_METADATA_VERSION ||
      head.metadata_len < sizeof head || head.event_len < head.metadata_len ||
      head.event_len > unread.size()) {
    return std::nullopt;
  }
  DiskEvent event{head.mask, head.pid, {}, {}};
  auto records = unread.first(head.event_len).subspan(head.metadata_len);
  fanotify_event_info_header record;
  while (read_head(records, record)) {
    if (record.len < sizeof record || record.len > records.size()) return std::nullopt;
    const auto bytes = records.first(record.len);
    switch (record.info_type) {
      case FAN_EVENT_INFO_TYPE_DFID:
      case FAN_EVENT_INFO_TYPE_DFID_NAME:
        event.directory = handle_in(bytes);
        break;
      case FAN_EVENT_INFO_TYPE_FID:
        event.file = handle_in(bytes);
        break;
      default:
        break;
    }
    records = records.subspan(record.len);
  }
  unread = unread.subspan(head.event_len);
  return event;
}

}  // namespace foliofs::server
