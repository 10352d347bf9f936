// Dirty bytes of all mappings: how many there are, when the flusher writes them, and the writers
// that wait for it.

#include <cassert>

#include "folio_mapping.h"

namespace foliofs::cache {

namespace {

// How often the flusher looks for dirty bytes that are too old.
constexpr Duration kAgerInterval = std::chrono::seconds(1);
// How long the flusher leaves a file alone whose bytes could not be written.
constexpr Duration kRetryAfter = std::chrono::seconds(5);
// How many files the flusher, or a drain, writes back at the same time.
constexpr std::uint32_t kParallelFiles = 8;

}  // namespace

CacheCore::CacheCore(Executor on, Clock& time, const CacheConfig& limits, FaultPoints* fault_points)
    : executor(std::move(on)), clock(time), config(limits), faults(fault_points) {
  memory->on_freed = [this] {
    memory_freed();
  };
  limit_arena();
}

CacheCore::~CacheCore() {
  memory->on_freed = nullptr;  // buffers in replies may outlive us
}

void CacheCore::add_dirty(FolioMapping& mapping, std::int64_t bytes) {
  stats.dirty_bytes += static_cast<std::uint64_t>(bytes);
  if (mapping.failed) failed_dirty_bytes_ += static_cast<std::uint64_t>(bytes);
  if (bytes > 0) {
    if (!mapping.queued_dirty) {
      mapping.queued_dirty = true;
      mapping.dirty_since = clock.now();
      dirty_mappings_.push_back(mapping.shared_from_this());
    }
    if (stats.dirty_bytes > config.dirty_background) wake_flusher();
    if (!ager_running_ && !stopping_) {
      ager_running_ = true;
      spawn(executor, "ager", run_ager(shared_from_this()));
    }
    return;
  }
  dirty_changed_.wake_all();
}

bool CacheCore::over_dirty_limit(std::uint64_t more_bytes) const {
  const std::uint64_t writable = stats.dirty_bytes - failed_dirty_bytes_;
  return writable != 0 && writable + more_bytes > config.dirty_limit;
}

std::optional<Errno> CacheCore::clogged() const {
  return failed_dirty_bytes_ > config.dirty_limit ? last_failure_ : std::nullopt;
}

Task<void> CacheCore::wait_for_writeback() {
  ++throttled_;
  wake_flusher();
  co_await dirty_changed_.wait();
  --throttled_;
}

void CacheCore::mapping_failed(FolioMapping& mapping, Errno error) {
  last_failure_ = error;
  mapping.retry_after = clock.now() + kRetryAfter;
  memory_changed_.wake_all();
  if (mapping.failed) return;
  mapping.failed = true;
  failed_dirty_bytes_ += mapping.dirty_bytes();
  dirty_changed_.wake_all();
}

void CacheCore::mapping_recovered(FolioMapping& mapping) {
  if (!mapping.failed) return;
  mapping.failed = false;
  mapping.retry_after = {};
  failed_dirty_bytes_ -= mapping.dirty_bytes();
  dirty_changed_.wake_all();
}

void CacheCore::wake_flusher() {
  flusher_wake_.wake_all();
}

void CacheCore::start() {
  flusher_running_ = true;
  spawn(executor, "flusher", run_flusher(shared_from_this()));
}

Task<void> CacheCore::stop() {
  stopping_ = true;
  wake_flusher();
  while (flusher_running_ || files_being_flushed_ > 0) co_await tasks_ended_.wait();
  dirty_mappings_.clear();
}

// The mapping that has been dirty for longest and may be tried now, if there is a reason to write.
std::shared_ptr<FolioMapping> CacheCore::next_to_flush() {
  const TimePoint now = clock.now();
  const bool too_much =
      stats.dirty_bytes > config.dirty_background || throttled_ > 0 || !memory_waiters_.empty();
  for (std::size_t looked = dirty_mappings_.size(); looked > 0; --looked) {
    auto mapping = std::move(dirty_mappings_.front());
    dirty_mappings_.pop_front();
    if (mapping->dirty_bytes() == 0) {
      mapping->queued_dirty = false;
      continue;
    }
    dirty_mappings_.push_back(mapping);
    const bool expired = now - mapping->dirty_since >= config.dirty_expire;
    if (!mapping->being_flushed && mapping->retry_after <= now && (too_much || expired)) {
      mapping->dirty_since = now;
      return mapping;
    }
  }
  return nullptr;
}

Task<void> CacheCore::run_flusher(std::shared_ptr<CacheCore> core) {
  while (!core->stopping_) {
    auto mapping = core->files_being_flushed_ < kParallelFiles ? core->next_to_flush() : nullptr;
    if (mapping) {
      ++core->files_being_flushed_;
      mapping->being_flushed = true;
      spawn(core->executor, "flusher of a file", flush_one(core, std::move(mapping)));
    } else {
      co_await core->flusher_wake_.wait();
    }
  }
  core->flusher_running_ = false;
  core->tasks_ended_.wake_all();
}

Task<void> CacheCore::flush_one(std::shared_ptr<CacheCore> core,
                                std::shared_ptr<FolioMapping> mapping) {
  WritebackPass pass;
  co_await mapping->writepages(ByteRange::all(), pass);
  mapping->being_flushed = false;
  --core->files_being_flushed_;
  core->wake_flusher();
  core->tasks_ended_.wake_all();
}

Task<void> CacheCore::run_ager(std::shared_ptr<CacheCore> core) {
  while (!core->stopping_ && !core->dirty_mappings_.empty()) {
    co_await core->clock.sleep(kAgerInterval);
    core->wake_flusher();
  }
  core->ager_running_ = false;
}

// One of several workers that write back the files of `queue`.
Task<void> CacheCore::drain_some(Drain& drain) {
  while (!drain.queue.empty()) {
    auto mapping = std::move(drain.queue.front());
    drain.queue.pop_front();
    WritebackPass pass;
    co_await mapping->writepages(ByteRange::all(), pass);
    if (pass.error) drain.error = pass.error;
  }
  --drain.running;
  dirty_changed_.wake_all();
}

Task<Status> CacheCore::flush_all(std::function<void(std::uint64_t)> progress) {
  auto self = shared_from_this();
  Drain drain;
  drain.queue = dirty_mappings_;
  drain.running = kParallelFiles;
  for (std::uint32_t i = 0; i < kParallelFiles; ++i) spawn(executor, "drain", drain_some(drain));
  while (drain.running > 0) {
    if (progress) progress(stats.dirty_bytes);
    co_await dirty_changed_.wait();
  }
  if (progress) progress(stats.dirty_bytes);
  if (drain.error) co_return *drain.error;
  co_return success();
}

}  // namespace foliofs::cache
