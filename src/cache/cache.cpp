#include "foliofs/cache/cache.h"

#include "cache_core.h"
#include "folio_mapping.h"

namespace foliofs::cache {

Cache::Cache(Executor executor, Clock& clock, CacheConfig config, FaultPoints* faults)
    : core_(std::make_shared<CacheCore>(std::move(executor), clock, config, faults)) {
  core_->start();
}

Cache::~Cache() = default;

std::shared_ptr<Mapping> Cache::make_mapping(std::shared_ptr<FolioStore> store,
                                             std::shared_ptr<KernelPages> kernel_pages,
                                             std::uint64_t size) {
  return std::make_shared<FolioMapping>(core_, std::move(store), std::move(kernel_pages), size);
}

const CacheConfig& Cache::config() const {
  return core_->config;
}

void Cache::reconfigure(const CacheConfig& config) {
  const CacheConfig fixed = core_->config;
  core_->config = config;
  core_->config.folio_size = fixed.folio_size;
  core_->config.max_io = fixed.max_io;
  core_->reconfigured();
}

void Cache::set_aside(std::uint64_t bytes) {
  core_->set_aside(bytes);
}

std::uint64_t Cache::most_set_aside() const {
  return core_->most_set_aside();
}

CacheStats Cache::stats() const {
  CacheStats stats = core_->stats;
  stats.mappings = core_->mapping_count;
  stats.bytes = core_->memory->bytes;
  stats.peak_bytes = core_->memory->peak_bytes;
  return stats;
}

Task<Status> Cache::flush_all(std::function<void(std::uint64_t)> progress) {
  return core_->flush_all(std::move(progress));
}

Task<void> Cache::stop() {
  return core_->stop();
}

}  // namespace foliofs::cache
