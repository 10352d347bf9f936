// The data of PageCache: pages, files and notifications. Private to it.
#pragma once

#include "tests/sim/page_cache.h"

namespace foliofs::sim {

struct PageCache::Page {
  explicit Page(std::uint64_t at) : index(at), data(kPage, '\0') {}
  ByteRange range() const { return ByteRange::of(index * kPage, kPage); }

  const std::uint64_t index;
  std::string data;
  bool uptodate = false;
  bool locked = false;
  bool dirty = false;
  bool writable = false;  // mapped writable: a store needs no fault
  bool writeback = false;
  Moment dirtied_at = 0;
  std::string owner;  // of the lock
  WaitQueue changed;
};

struct PageCache::File {
  std::string name;
  vfs::NodeId node = 0;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;
  TimePoint attributes_until{};  // the kernel believes them until then
  // Counts the events that make answers to earlier questions too old: changes through this kernel,
  // notifications, and answers that were believed (fuse_inode::attr_version).
  std::uint64_t attribute_version = 0;
  // A write(2) beyond the end or a truncation is under way: no answer is believed
  // (FUSE_I_SIZE_UNSTABLE).
  bool size_unstable = false;
  std::map<std::uint64_t, PageRef> pages;

  bool locked = false;  // i_rwsem
  std::string owner;
  WaitQueue unlocked;

  std::string nowrite_for;  // FUSE_NOWRITE: the truncation that holds back page writeback
  std::uint32_t writebacks_sent = 0;
  WaitQueue writeback_changed;

  std::optional<Errno> error;  // of a page's writeback, not reported yet
  std::uint32_t errors = 0;    // of pages' writeback, so far
  std::vector<std::weak_ptr<Description>> writers;
};

struct PageCache::Notification {
  std::uint64_t node = 0;
  ByteRange range;
  std::optional<std::byte> last;  // to be stored as the file's last byte
  bool done = false;
  WaitQueue waiters;
};

}  // namespace foliofs::sim
