// Cache: what all mappings of one mount share: the memory budget, the limits on dirty bytes, the
// order of reclaim, and the background flusher.
//
// Single-threaded: everything in cache/ runs on the loop of `executor`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "foliofs/base/clock.h"
#include "foliofs/base/fault_point.h"
#include "foliofs/base/task.h"
#include "foliofs/cache/folio_store.h"
#include "foliofs/cache/invalidate.h"

namespace foliofs::cache {

class Mapping;
class CacheCore;

// Sizes are in bytes.
struct CacheConfig {
  std::uint32_t folio_size = 64 << 10;  // a power of two, 4 KiB to 1 MiB; fixed for the mount
  std::uint64_t cache_size = 256ull << 20;
  // Reclaim keeps at most this many clean bytes that have been used only once.
  std::uint64_t used_once = 32ull << 20;
  std::uint64_t dirty_background = 16ull << 20;     // above this the flusher writes
  std::uint64_t dirty_limit = 96ull << 20;          // above this writers wait
  Duration dirty_expire = std::chrono::seconds(5);  // the flusher writes older dirty bytes anyway
  std::uint64_t readahead = 16ull << 20;            // of one reader; 0: none
  std::uint32_t max_io = 1 << 20;                   // one READ or WRITE
  std::uint32_t writes_in_flight = 16;              // of one mapping, each of max_io
};

struct CacheStats {
  std::uint64_t mappings = 0;
  std::uint64_t folios = 0;
  std::uint64_t bytes = 0;  // memory of folios and buffers, also of requests in flight
  std::uint64_t peak_bytes = 0;
  std::uint64_t dirty_bytes = 0;
  std::uint64_t writeback_bytes = 0;
  std::uint64_t read_hits = 0;  // reads answered without asking the server
  std::uint64_t read_misses = 0;
  std::uint64_t readahead_bytes = 0;  // fetched before a program read them
  std::uint64_t readahead_hits = 0;   // folios fetched ahead that were read later
  std::uint64_t reclaimed_folios = 0;
  std::uint64_t throttled_writes = 0;
  std::uint64_t write_errors = 0;
  std::uint64_t cow_copies = 0;
  std::uint64_t invalidations[kInvalidateModes][kInvalidateReasons] = {};
};

class Cache {
 public:
  // `clock` and `faults` must outlive the cache; without `faults` no fault point waits.
  Cache(Executor executor, Clock& clock, CacheConfig config, FaultPoints* faults = nullptr);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // A mapping of a file of `size` bytes. The caller must release it before the cache is destroyed;
  // background tasks may keep it alive until they have ended.
  std::shared_ptr<Mapping> make_mapping(std::shared_ptr<FolioStore> store,
                                        std::shared_ptr<KernelPages> kernel_pages,
                                        std::uint64_t size);

  const CacheConfig& config() const;
  // Takes effect for what happens after the call. folio_size and max_io keep their values.
  void reconfigure(const CacheConfig& config);

  // Reserves `bytes` of cache_size for something other than folios. No more than most_set_aside()
  // takes effect, which leaves to folios half of cache_size, or dirty_limit and an eighth of
  // cache_size if that is more.
  void set_aside(std::uint64_t bytes);
  std::uint64_t most_set_aside() const;

  CacheStats stats() const;

  // Writes back everything dirty, several files at a time, and now and then tells `progress` how
  // many bytes are still dirty. Returns an error if bytes could not be written; they stay dirty.
  Task<Status> flush_all(std::function<void(std::uint64_t dirty_bytes)> progress);

  // Ends the flusher and returns when its tasks have ended. Does not write what is dirty.
  Task<void> stop();

 private:
  std::shared_ptr<CacheCore> core_;
};

}  // namespace foliofs::cache
