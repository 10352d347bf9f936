// KernelView: what the kernel believes of one file, because it was last told so or has made a
// change itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "foliofs/base/clock.h"
#include "foliofs/vfs/attributes.h"

namespace foliofs::vfs {

struct KernelView {
  // --- Attributes

  // Where the kernel believes the file to end, and the version of the file (by the server's count
  // of others' changes) that ended there.
  std::uint64_t size = 0;
  FileVersion version;
  std::int64_t mtime_ns = 0;
  // Stands for the attributes as a whole, because any change of them moves ctime.
  std::int64_t ctime_ns = 0;
  // The name under which the kernel was last given the file (name_key), when that was, and until
  // when at least the kernel believes the name and the attributes that came with it.
  std::size_t name = 0;
  TimePoint name_told{};
  TimePoint believed_until{};
  std::uint32_t mode = 0, uid = 0, gid = 0;
  // Whether the kernel was told to believe something of the file for long, and whether the name.
  bool believes = false;
  bool believes_name = false;

  // --- Pages

  // It may have the page in which the file ends, filled by a READ, and so with zeros behind the
  // end.
  bool has_end = false;
  std::uint32_t cached_opens = 0;  // OpenFiles through which it fills pages
  // Changes under way that make the file longer and of which the kernel keeps no copy; and until
  // when it may not have taken the answer to the latest one, so that it does not know the end.
  std::uint32_t uncached_growth = 0;
  TimePoint size_unstable_until{};
  // The MountCore::logical_time at the latest open, and when the kernel was last made to drop all
  // its pages while nobody had the file open.
  std::uint64_t opened_at = 0;
  std::uint64_t pages_dropped_at = 0;
  bool may_have_pages() const { return opened_at > pages_dropped_at; }

  // --- Answers

  // The kernel discards the attributes in a reply (fuse_change_attributes()) if, after it sent the
  // request, it handled a notification about the file's pages or attributes, took another reply
  // with attributes, or had a write of its own answered. `ignores_before` is the time, as
  // MountCore::logical_time counts, of the latest of these: replies to requests that came before it
  // are discarded. While a notification is under way its moment is not known, so every reply counts
  // as discarded. The same holds while the kernel makes the file longer (FUSE_I_SIZE_UNSTABLE).
  std::uint64_t ignores_before = 0;
  std::uint32_t notifications = 0;  // under way
  std::uint32_t growing = 0;        // changes of its own under way that may make the file longer
  // For answers that the kernel always takes: those to changes, and those that make a name.
  static constexpr std::uint64_t kTaken = std::numeric_limits<std::uint64_t>::max();
  bool ignores(std::uint64_t asked_at) const {
    if (asked_at == kTaken) return false;
    return notifications != 0 || growing != 0 || asked_at < ignores_before;
  }

  // The kernel takes an answer that shows `now`.
  void takes(const Attributes& now, const FileVersion& as_of) {
    size = now.size;
    version = as_of;
    mode = now.mode;
    uid = now.uid;
    gid = now.gid;
    mtime_ns = now.mtime_ns;
    ctime_ns = now.ctime_ns;
  }
  // A change by the kernel makes the file reach at least to `end`.
  void reaches(std::uint64_t end) { size = std::max(size, end); }
  // Whether it has the owner and mode in `now`. Linux relies on those without asking.
  bool knows_owner_and_mode(const Attributes& now) const {
    return now.mode == mode && now.uid == uid && now.gid == gid;
  }
};

}  // namespace foliofs::vfs
