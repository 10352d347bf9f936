// KernelView: what the kernel believes of one file, as it was told last or has made it by a change
// of its own.
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

  // Where it believes the file to end, and the version that this was of by the server's count of
  // others' changes.
  std::uint64_t size = 0;
  FileVersion version;
  std::int64_t mtime_ns = 0;
  // Of the attributes as a whole: any change of them moves ctime.
  std::int64_t ctime_ns = 0;
  // The name under which it was last given the file (name_key), and until when at least it believes
  // that and the attributes that came with it.
  std::size_t name = 0;
  TimePoint name_told{};
  TimePoint believed_until{};
  std::uint32_t mode = 0, uid = 0, gid = 0;
  // It was told to believe something of it for long, and the name.
  bool believes = false;
  bool believes_name = false;

  // --- Pages

  // It may have the page in which the file ends, as a READ has filled it: with zeros behind the
  // end.
  bool has_end = false;
  std::uint32_t cached_opens = 0;  // OpenFiles through which it fills pages
  // Changes under way that make the file longer and of which it keeps no copy; and until when it
  // may not have taken the answer to the latest one, so that it does not know the end.
  std::uint32_t uncached_growth = 0;
  TimePoint size_unstable_until{};
  // What MountCore::logical_time was at the latest open, and when it was last made to drop all its
  // pages while nobody had the file open.
  std::uint64_t opened_at = 0;
  std::uint64_t pages_dropped_at = 0;
  bool may_have_pages() const { return opened_at > pages_dropped_at; }

  // --- Answers

  // The kernel discards the attributes in a reply (fuse_change_attributes()) if, after it sent the
  // request, it handled a notification about the file's pages or attributes, took another reply
  // with attributes, or had a write of its own answered. `ignores_before` is the time, as
  // MountCore::logical_time counts, of the latest of these: replies to requests that came before it
  // are discarded. While a notification is under way its moment is not known, so every reply counts
  // as discarded; as all are while the kernel makes the file longer (FUSE_I_SIZE_UNSTABLE).
  std::uint64_t ignores_before = 0;
  std::uint32_t notifications = 0;  // under way
  std::uint32_t growing = 0;        // changes of its own under way that may make the file longer
  // Of answers that are always taken: to changes, and to what makes a name.
  static constexpr std::uint64_t kTaken = std::numeric_limits<std::uint64_t>::max();
  bool ignores(std::uint64_t asked_at) const {
    if (asked_at == kTaken) return false;
    return notifications != 0 || growing != 0 || asked_at < ignores_before;
  }

  // It takes an answer that shows `now`.
  void takes(const Attributes& now, const FileVersion& as_of) {
    size = now.size;
    version = as_of;
    mode = now.mode;
    uid = now.uid;
    gid = now.gid;
    mtime_ns = now.mtime_ns;
    ctime_ns = now.ctime_ns;
  }
  // The file goes at least to `end`, by a change of the kernel's.
  void reaches(std::uint64_t end) { size = std::max(size, end); }
  // Whether it has the owner and mode that `now` has, as Linux goes by them unasked.
  bool knows_owner_and_mode(const Attributes& now) const {
    return now.mode == mode && now.uid == uid && now.gid == gid;
  }
};

}  // namespace foliofs::vfs
