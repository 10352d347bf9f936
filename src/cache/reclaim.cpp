// The memory budget, and which folios are dropped when it is used up.
//
// Only clean folios are on the lists, so reclaim can drop a folio without writing anything. Folios
// used once are reclaimed before those used again, so that one long scan does not empty the cache.
#include <algorithm>
#include <cassert>
#include <utility>

#include "arena.h"
#include "folio_mapping.h"

namespace foliofs::cache {

namespace {

// How much the arena may occupy beyond the budget: free pieces between others that are in use.
constexpr std::uint64_t kArenaSlack = 6 << 20;
// Memory that has been free for this long goes back to the system.
constexpr Duration kTrimInterval = std::chrono::seconds(5);

// The active list may have this share of all folios; beyond it balance() looks at the oldest again.
constexpr std::uint64_t kActiveShareNumerator = 2, kActiveShareDenominator = 3;
// Every reader is read ahead at least this far, however many there are.
constexpr std::uint64_t kLeastWindow = 2 << 20;
// How often drop_used_once() spares a folio that was fetched ahead: its reader may be one of many.
constexpr std::uint8_t kPassedOver = 4;
// How long a caller waits for memory while none of the dirty bytes can be written.
constexpr Duration kPatience = std::chrono::seconds(30);

}  // namespace

bool CacheCore::try_reserve(std::uint64_t bytes, Want want) {
  return memory_waiters_.empty() && make_room(bytes, want);
}

bool CacheCore::make_room(std::uint64_t bytes, Want want) {
  drop_used_once(bytes);
  if (memory->bytes + bytes <= limit()) return true;
  if (bytes > limit()) return false;
  balance();
  reclaim_from(inactive_, limit() - bytes, want);
  if (want == Want::kNeeded) reclaim_from(active_, limit() - bytes, want);
  return memory->bytes + bytes <= limit();
}

Task<Status> CacheCore::reserve(std::uint64_t bytes) {
  if (try_reserve(bytes)) co_return success();
  if (bytes > limit()) co_return Errno(ENOMEM);
  const auto place = memory_waiters_.insert(memory_waiters_.end(), bytes);
  const TimePoint since = clock.now();
  Status status = success();
  while (place != memory_waiters_.begin() || !make_room(bytes, Want::kNeeded)) {
    if (auto error = full_of_failures(since)) {
      status = *error;
      break;
    }
    wake_flusher();
    co_await memory_changed_.wait();
  }
  memory_waiters_.erase(place);
  memory_changed_.wake_all();
  co_return status;
}

std::optional<Errno> CacheCore::full_of_failures(TimePoint since) const {
  const bool all_failed = failed_dirty_bytes_ > 0 && failed_dirty_bytes_ == stats.dirty_bytes;
  return all_failed && clock.now() - since >= kPatience ? last_failure_ : std::nullopt;
}

void CacheCore::limit_arena() {
  memory->arena->set_limit(limit() + kArenaSlack);
}

void CacheCore::set_aside(std::uint64_t bytes) {
  set_aside_ = bytes;
  reconfigured();
}

std::uint64_t CacheCore::most_set_aside() const {
  const std::uint64_t size = config.cache_size;
  const std::uint64_t needed = std::max(size / 2, config.dirty_limit + size / 8);
  return size - std::min(size, needed);
}

void CacheCore::memory_freed() {
  if (!memory_waiters_.empty()) memory_changed_.wake_all();
  if (trimmer_running_ || stopping_ || !memory->arena->keeps_much()) return;
  trimmer_running_ = true;
  spawn(executor, "trimmer", run_trimmer(shared_from_this()));
}

Task<void> CacheCore::run_trimmer(std::shared_ptr<CacheCore> core) {
  while (!core->stopping_ && core->memory->arena->keeps_much()) {
    co_await core->clock.sleep(kTrimInterval);
    core->memory->arena->trim();
  }
  core->trimmer_running_ = false;
}

void CacheCore::reconfigured() {
  limit_arena();
  make_room(0, Want::kNeeded);
  memory_changed_.wake_all();
  dirty_changed_.wake_all();
}

// The folio may be reclaimed from here on.
void CacheCore::link(Folio& folio) {
  (folio.active ? active_ : inactive_).push_front(folio);
  folio.reclaimable_bytes = folio.held().size();
  if (!folio.active) inactive_bytes_ += folio.reclaimable_bytes;
  if (!memory_waiters_.empty()) memory_changed_.wake_all();
}

void CacheCore::unlink(Folio& folio) {
  ReclaimList& list = folio.active ? active_ : inactive_;
  list.erase(list.iterator_to(folio));
  if (!folio.active) inactive_bytes_ -= folio.reclaimable_bytes;
}

void CacheCore::folio_added(Folio& folio) {
  ++stats.folios;
  memory->add(sizeof(Folio));
  link(folio);
}

void CacheCore::folio_removed(Folio& folio) {
  folio_ahead(folio, false);
  --stats.folios;
  if (folio.FolioInReclaim::is_linked()) unlink(folio);
  memory->subtract(sizeof(Folio));
}

void CacheCore::folio_dirtied(Folio& folio) {
  unlink(folio);
}

void CacheCore::folio_cleaned(Folio& folio) {
  link(folio);
}

std::uint64_t CacheCore::readahead_window() const {
  const std::uint64_t unread = ahead_in_flight + folios_ahead_ * config.folio_size;
  const std::uint64_t most = 2 * config.readahead;
  const std::uint64_t share = std::max(kLeastWindow, most - std::min(most, unread));
  return std::min(config.readahead, share);
}

void CacheCore::folio_ahead(Folio& folio, bool ahead) {
  if (folio.ahead == ahead) return;
  folio.ahead = ahead;
  folio.passed_over = 0;
  ahead ? ++folios_ahead_ : --folios_ahead_;
}

void CacheCore::folio_resized(Folio& folio) {
  if (folio.active || !folio.FolioInReclaim::is_linked()) return;
  inactive_bytes_ -= folio.reclaimable_bytes;
  folio.reclaimable_bytes = folio.held().size();
  inactive_bytes_ += folio.reclaimable_bytes;
}

void CacheCore::folio_used(Folio& folio, ByteRange part) {
  const bool other_bytes = std::exchange(folio.filled, false) || part.begin >= folio.used_to;
  folio.used_to = std::max(folio.used_to, part.end);
  if (other_bytes) return;
  if (folio.active) {
    folio.referenced = true;
    return;
  }
  const bool linked = folio.FolioInReclaim::is_linked();
  if (linked) unlink(folio);
  folio.active = true;
  folio.referenced = false;
  if (linked) link(folio);
}

// Keeps the active list within its share: the oldest folios get a second chance, or go to the
// inactive list.
void CacheCore::balance() {
  while (active_.size() > 16 &&
         active_.size() * kActiveShareDenominator > stats.folios * kActiveShareNumerator) {
    Folio& oldest = active_.back();
    active_.pop_back();
    if (oldest.referenced) {
      oldest.referenced = false;
      active_.push_front(oldest);
      return;  // only one second chance for each call, to bound its cost
    }
    oldest.active = false;
    link(oldest);
  }
}

// Drops folios that have been used only once, until they and `more_bytes` stay within `used_once`.
// Those that were fetched ahead and not read yet do not count, and are dropped only when they stay
// unread for long.
void CacheCore::drop_used_once(std::uint64_t more_bytes) {
  const std::uint64_t most = config.used_once + folios_ahead_ * config.folio_size;
  for (std::size_t left = inactive_.size(); left > 0 && inactive_bytes_ + more_bytes > most;
       --left) {
    Folio& oldest = inactive_.back();
    const bool passed_over = oldest.ahead && ++oldest.passed_over <= kPassedOver;
    if (oldest.locked || passed_over) {
      inactive_.pop_back();
      inactive_.push_front(oldest);
      continue;
    }
    ++stats.reclaimed_folios;
    oldest.mapping->reclaim(oldest);
  }
}

// Drops folios, the least recently used first, until no more than `target_bytes` are in use. What
// was fetched ahead does not make room for other readahead: a reader will need it soon.
void CacheCore::reclaim_from(ReclaimList& list, std::uint64_t target_bytes, Want want) {
  for (std::size_t left = list.size(); left > 0 && memory->bytes > target_bytes; --left) {
    Folio& oldest = list.back();
    if (oldest.locked) {
      list.pop_back();
      list.push_front(oldest);
      continue;
    }
    if (want == Want::kReadahead && oldest.ahead) return;
    ++stats.reclaimed_folios;
    oldest.mapping->reclaim(oldest);
  }
}

}  // namespace foliofs::cache
