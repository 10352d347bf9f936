// The memory budget, and which folios leave when it is used up.
#include <cassert>

#include "folio_mapping.h"

namespace foliofs::cache {

namespace {

// The active list may have this share of all folios; beyond it the oldest are looked at again.
constexpr std::uint64_t kActiveShareNumerator = 2, kActiveShareDenominator = 3;
// Folios looked at for one request, so that a cache full of dirty ones costs a bounded time.
constexpr int kMaxScanned = 4096;
constexpr Duration kRetryInterval = std::chrono::milliseconds(1);
constexpr Duration kPatience = std::chrono::seconds(60);

}  // namespace

bool CacheCore::try_reserve(std::uint64_t bytes) {
  if (memory->bytes + bytes <= config.cache_size) return true;
  if (bytes > config.cache_size) return false;
  shrink(memory->bytes + bytes - config.cache_size);
  return memory->bytes + bytes <= config.cache_size;
}

Task<Status> CacheCore::reserve(std::uint64_t bytes) {
  if (bytes > config.cache_size) co_return Errno(ENOMEM);
  if (try_reserve(bytes)) co_return success();
  const TimePoint deadline = clock.now() + kPatience;
  ++short_of_memory_;
  while (!try_reserve(bytes) && clock.now() < deadline) {
    // Memory comes back when writes are acknowledged and when replies let go of their buffers;
    // the latter cannot tell us, so look again soon.
    wake_flusher();
    co_await clock.sleep(kRetryInterval);
  }
  --short_of_memory_;
  if (!try_reserve(bytes)) co_return Errno(ENOMEM);
  co_return success();
}

void CacheCore::folio_added(Folio& folio) {
  ++stats.folios;
  inactive_.push_front(folio);
}

void CacheCore::folio_touched(Folio& folio) {
  if (!folio.referenced) {
    folio.referenced = true;
    return;
  }
  if (folio.active) return;
  // Used a second time while it was on the inactive list.
  inactive_.erase(inactive_.iterator_to(folio));
  active_.push_front(folio);
  folio.active = true;
  folio.referenced = false;
  ++active_count_;
  balance();
}

void CacheCore::folio_removed(Folio& folio) {
  --stats.folios;
  if (folio.active) {
    active_.erase(active_.iterator_to(folio));
    --active_count_;
  } else {
    inactive_.erase(inactive_.iterator_to(folio));
  }
}

// Keeps the active list to its share: its oldest get a second chance, or go to the inactive list.
void CacheCore::balance() {
  while (active_count_ > 16 &&
         active_count_ * kActiveShareDenominator > stats.folios * kActiveShareNumerator) {
    Folio& oldest = active_.back();
    active_.pop_back();
    if (oldest.referenced) {
      oldest.referenced = false;
      active_.push_front(oldest);
      return;  // one look for each promotion keeps the cost constant
    }
    oldest.active = false;
    --active_count_;
    inactive_.push_front(oldest);
  }
}

// Drops clean folios, those used least first, until `bytes` are free or none is left to look at.
std::uint64_t CacheCore::shrink(std::uint64_t bytes) {
  const std::uint64_t target = memory->bytes > bytes ? memory->bytes - bytes : 0;
  const std::uint64_t before = memory->bytes;
  auto scan = [&](ReclaimList& list) {
    for (int scanned = 0; scanned < kMaxScanned && !list.empty() && memory->bytes > target;
         ++scanned) {
      Folio& oldest = list.back();
      const bool idle = oldest.clean() && !oldest.under_writeback() && !oldest.locked;
      if (idle) {
        ++stats.reclaimed_folios;
        oldest.mapping->reclaim(oldest);
        continue;
      }
      list.pop_back();
      list.push_front(oldest);
    }
  };
  scan(inactive_);
  scan(active_);
  return before - memory->bytes;
}

}  // namespace foliofs::cache
