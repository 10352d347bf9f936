// What the mappings of one cache share: budget, reclaim order, dirty accounting, flusher.
//
// Cache (the public face) owns it; background tasks hold it by shared_ptr until they have ended.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <deque>
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
  CacheCore(Executor on, Clock& time, const CacheConfig& limits, FaultPoints* fault_points)
      : executor(std::move(on)), clock(time), config(limits), faults(fault_points) {}

  const Executor executor;
  Clock& clock;
  CacheConfig config;
  FaultPoints* const faults;
  CacheStats stats;
  const std::shared_ptr<MemoryUse> memory = std::make_shared<MemoryUse>();

  // --- Memory (reclaim.cpp) ---------------------------------------------------------------------

  // True when `bytes` more fit into the budget, if need be after dropping clean folios.
  bool try_reserve(std::uint64_t bytes);
  // Waits until try_reserve() says so. ENOMEM when it never can.
  Task<Status> reserve(std::uint64_t bytes);

  void folio_added(Folio& folio);
  void folio_touched(Folio& folio);
  void folio_removed(Folio& folio);

  // --- Dirty bytes (flusher.cpp) ----------------------------------------------------------------

  void add_dirty(FolioMapping& mapping, std::int64_t bytes);
  // True while system calls that store should wait for the flusher.
  bool over_dirty_limit(std::uint64_t more_bytes) const;
  // Bytes that cannot be written have taken all the room that dirty bytes may have.
  std::optional<Errno> clogged() const;
  Task<void> wait_for_writeback();
  void mapping_failed(FolioMapping& mapping, Errno error);
  void mapping_recovered(FolioMapping& mapping);
  Task<Status> flush_all(std::function<void(std::uint64_t)> progress);

  void start();
  Task<void> stop();

  std::uint64_t mapping_count = 0;

 private:
  using ReclaimList = boost::intrusive::list<Folio>;

  std::uint64_t shrink(std::uint64_t bytes);
  void balance();

  // Writes back while there is reason to: too much is dirty, or something is dirty for too long.
  static Task<void> run_flusher(std::shared_ptr<CacheCore> core);
  // Looks once a second, while anything is dirty, for what has become too old.
  static Task<void> run_ager(std::shared_ptr<CacheCore> core);
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
  ReclaimList inactive_;
  ReclaimList active_;
  std::uint64_t active_count_ = 0;
  std::uint32_t short_of_memory_ = 0;  // callers that wait in reserve()

  std::deque<std::shared_ptr<FolioMapping>> dirty_mappings_;  // first dirtied first
  std::uint64_t failed_dirty_bytes_ = 0;
  std::optional<Errno> last_failure_;
  std::uint32_t throttled_ = 0;  // writers that wait for dirty bytes to become fewer
  WaitQueue flusher_wake_;
  WaitQueue dirty_changed_;
  WaitQueue tasks_ended_;
  bool ager_running_ = false;
  bool flusher_running_ = false;
  bool stopping_ = false;
};

}  // namespace foliofs::cache
