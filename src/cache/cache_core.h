// What the mappings of one cache share: budget, reclaim order, dirty accounting, flusher.
//
// Cache (the public interface) owns it; background tasks hold a shared_ptr until they have ended.
#pragma once

#include <algorithm>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>

#include "folio.h"
#include "foliofs/base/clock.h"
#include "foliofs/base/fault_point.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/cache/cache.h"

namespace foliofs::cache {

class FolioMapping;

class CacheCore : public std::enable_shared_from_this<CacheCore> {
 public:
  CacheCore(Executor on, Clock& time, const CacheConfig& limits, FaultPoints* fault_points);
  ~CacheCore();
  CacheCore(const CacheCore&) = delete;
  CacheCore& operator=(const CacheCore&) = delete;

  const Executor executor;
  Clock& clock;
  CacheConfig config;
  FaultPoints* const faults;
  CacheStats stats;
  const std::shared_ptr<MemoryUse> memory = std::make_shared<MemoryUse>();

  // --- Memory (reclaim.cpp) ---------------------------------------------------------------------

  // Whether the memory is needed, or may only become useful.
  enum class Want { kNeeded, kReadahead };

  // True when `bytes` more fit into the budget, if necessary after clean folios have been dropped;
  // false while others wait in reserve(). It does not account for the bytes: the caller has to
  // allocate them before its next co_await.
  bool try_reserve(std::uint64_t bytes, Want want = Want::kNeeded);
  // The same without regard to waiters: for a caller whose turn it is, or that needs little.
  bool make_room(std::uint64_t bytes, Want want = Want::kNeeded);
  // Waits for room, first come, first served. ENOMEM when the whole budget is too small; the error
  // of a write when for kPatience there was no room and nothing dirty could be written.
  Task<Status> reserve(std::uint64_t bytes);
  // The limits have changed.
  void reconfigured();
  // See Cache.
  void set_aside(std::uint64_t bytes);
  std::uint64_t most_set_aside() const;
  // Memory was returned to the arena.
  void memory_freed();

  // Every folio is counted. Clean folios are on the lists of reclaim.
  void folio_added(Folio& folio);
  void folio_removed(Folio& folio);
  void folio_dirtied(Folio& folio);
  void folio_cleaned(Folio& folio);
  // The folio has got another buffer.
  void folio_resized(Folio& folio);
  // `part` of the folio has been read or stored to.
  void folio_used(Folio& folio, ByteRange part);

  // --- Read-ahead (reclaim.cpp) -----------------------------------------------------------------

  // How far one reader may be read ahead: less when much has been fetched ahead already, for any
  // reader, and not been read yet.
  std::uint64_t readahead_window() const;
  // `ahead`: the folio was fetched ahead and has not been read yet.
  void folio_ahead(Folio& folio, bool ahead);
  std::uint64_t ahead_in_flight = 0;  // bytes

  // --- Dirty bytes (flusher.cpp) ----------------------------------------------------------------

  void add_dirty(FolioMapping& mapping, std::int64_t bytes);
  // True while system calls that store should wait for the flusher.
  bool over_dirty_limit(std::uint64_t more_bytes) const;
  // The last error, when bytes that cannot be written alone exceed the dirty limit.
  std::optional<Errno> clogged() const;
  Task<void> wait_for_writeback();
  void mapping_failed(FolioMapping& mapping, Errno error);
  void mapping_recovered(FolioMapping& mapping);
  Task<Status> flush_all(std::function<void(std::uint64_t)> progress);

  void start();
  Task<void> stop();

  std::uint64_t mapping_count = 0;

 private:
  using ReclaimList = boost::intrusive::list<Folio, boost::intrusive::base_hook<FolioInReclaim>>;

  void drop_used_once(std::uint64_t more_bytes);
  void reclaim_from(ReclaimList& list, std::uint64_t target_bytes, Want want);
  void link(Folio& folio);
  void unlink(Folio& folio);
  void balance();
  // How much of cache_size folios and requests in flight may use.
  std::uint64_t limit() const { return config.cache_size - std::min(set_aside_, most_set_aside()); }
  void limit_arena();
  std::optional<Errno> full_of_failures(TimePoint since) const;

  // Writes back while too much is dirty, memory is wanted, or bytes have been dirty for too long.
  static Task<void> run_flusher(std::shared_ptr<CacheCore> core);
  static Task<void> flush_one(std::shared_ptr<CacheCore> core,
                              std::shared_ptr<FolioMapping> mapping);
  // While anything is dirty, has the flusher check once a second for what is dirty for too long.
  static Task<void> run_ager(std::shared_ptr<CacheCore> core);
  // Trims the arena every few seconds, while it keeps much free memory.
  static Task<void> run_trimmer(std::shared_ptr<CacheCore> core);
  std::shared_ptr<FolioMapping> next_to_flush();

  struct Drain {
    std::deque<std::shared_ptr<FolioMapping>> queue;
    std::uint32_t running = 0;
    std::optional<Errno> error;
  };
  Task<void> drain_some(Drain& drain);
  void wake_flusher();

  // Folios used once are reclaimed before those used again, so that one long scan does not empty
  // the cache (the kernel's inactive and active lists).
  //
  // Only `used_once` bytes of the former are kept, because the kernel has the same bytes in its own
  // pages, and because reusing a little memory again and again costs less than touching memory that
  // was not used for long, or never.
  ReclaimList inactive_;
  ReclaimList active_;
  std::uint64_t inactive_bytes_ = 0;
  std::uint64_t folios_ahead_ = 0;
  std::uint64_t set_aside_ = 0;
  std::list<std::uint64_t> memory_waiters_;  // bytes that each waiter in reserve() wants
  WaitQueue memory_changed_;

  std::deque<std::shared_ptr<FolioMapping>> dirty_mappings_;  // first dirtied first
  std::uint64_t failed_dirty_bytes_ = 0;
  std::optional<Errno> last_failure_;
  std::uint32_t throttled_ = 0;  // writers that wait for the dirty bytes to decrease
  WaitQueue flusher_wake_;
  WaitQueue dirty_changed_;
  WaitQueue tasks_ended_;
  bool ager_running_ = false;
  bool trimmer_running_ = false;
  bool flusher_running_ = false;
  std::uint32_t files_being_flushed_ = 0;
  bool stopping_ = false;
};

}  // namespace foliofs::cache
