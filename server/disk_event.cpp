#include "server/disk_event.h"

#include <sys/fanotify.h>

#include <cstddef>
#include <cstring>
#include <type_traits>

namespace foliofs::server {

namespace {

// Events and their records stand at any address.
template <class T>
std::optional<T> read_head(std::span<const char> bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  T head;
  if (bytes.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, bytes.data(), sizeof head);
  return head;
}

// The handle in a record of the kind fanotify_event_info_fid; a name may follow it.
DiskHandle handle_in(std::span<const char> record) {
  constexpr std::size_t kHandleAt = offsetof(fanotify_event_info_fid, handle);
  constexpr std::size_t kHandleHead = sizeof(std::uint32_t) + sizeof(std::int32_t);
  if (record.size() < kHandleAt + kHandleHead) return {};
  const auto bytes = record.subspan(kHandleAt);
  const std::size_t length = *read_head<std::uint32_t>(bytes);
  if (length > bytes.size() - kHandleHead) return {};
  return {bytes.data(), kHandleHead + length};
}

}  // namespace

std::optional<DiskEvent> take_disk_event(std::span<const char>& unread) {
  const auto head = read_head<fanotify_event_metadata>(unread);
  if (!head || head->vers != FANOTIFY_METADATA_VERSION || head->metadata_len < sizeof *head ||
      head->event_len < head->metadata_len || head->event_len > unread.size()) {
    return std::nullopt;
  }
  DiskEvent event{head->mask, head->pid, {}, {}};
  auto records = unread.first(head->event_len).subspan(head->metadata_len);
  while (const auto record = read_head<fanotify_event_info_header>(records)) {
    if (record->len < sizeof *record || record->len > records.size()) return std::nullopt;
    const auto bytes = records.first(record->len);
    switch (record->info_type) {
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
    records = records.subspan(record->len);
  }
  unread = unread.subspan(head->event_len);
  return event;
}

}  // namespace foliofs::server
