#include "arena.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <chrono>
#include <cstddef>

// Memory that is free in the arena is poisoned for the sanitizer.
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(data, bytes) (static_cast<void>(data), static_cast<void>(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(data, bytes) (static_cast<void>(data), static_cast<void>(bytes))
#endif

namespace foliofs::cache {

namespace {

// The kernel clears a huge page in 0.1 to 0.4 ms, and the same memory page by page in 0.5 to 1 ms.
// But a virtual machine that gives free memory back to its host (free page reporting) gives back
// the blocks that huge pages are made of first, and then a new huge page takes 5 ms.
constexpr std::chrono::microseconds kSlowHugePage{2000};
// After a slow huge page this many regions use small pages, before the arena tries a huge one.
constexpr unsigned kSmallRegions = 64;

}  // namespace

Arena::~Arena() {
  assert(used_pages_ == 0);
  give_back(resident_pages_);
  assert(region_count_ == 0);
}

void Arena::link(Region& region) {
  regions_[region.largest()].push_front(region);
  if (region.free_resident() > 0) holders_.push_front(region);
}

void Arena::unlink(Region& region) {
  ByBlock& list = regions_[region.largest()];
  list.erase(list.iterator_to(region));
  if (region.RegionHoldsFree::is_linked()) holders_.erase(holders_.iterator_to(region));
}

// Of the regions with a large enough free block, returns one whose largest block is smallest, so
// that large blocks stay whole and regions become free. The region returned is on no list.
Region* Arena::region_with(std::size_t pages) {
  const auto wanted = static_cast<unsigned>(std::bit_width(pages - 1));
  for (unsigned order = wanted; order < Region::kOrders; ++order) {
    if (regions_[order].empty()) continue;
    Region& region = regions_[order].front();
    unlink(region);
    return &region;
  }
  stay_within_limit(Region::kPages);
  Region* region = map_region();
  if (region == nullptr) return nullptr;
  ++region_count_;
  resident_pages_ += Region::kPages;
  return region;
}

// The first region uses small pages, so that a cache that holds little occupies little. The others
// use small pages for a while after a huge page was slow to get.
Region* Arena::map_region() {
  const bool huge = region_count_ > 0 && small_regions_left_ == 0;
  Region* region = Region::map(huge);
  if (small_regions_left_ > 0) --small_regions_left_;
  if (region == nullptr || !huge) return region;
  using Clock = std::chrono::steady_clock;
  const Clock::time_point began = Clock::now();
  *static_cast<volatile std::byte*>(region->at(0)) = std::byte{};
  if (Clock::now() - began > kSlowHugePage) small_regions_left_ = kSmallRegions;
  return region;
}

Arena::Piece Arena::allocate(std::size_t bytes) {
  const std::size_t pages = bytes / kPageBytes;
  assert(pages > 0 && pages <= Region::kPages && bytes % kPageBytes == 0);
  Region* region = region_with(pages);
  if (region == nullptr) return {};
  unsigned made_resident = 0;
  const unsigned page = region->take(static_cast<unsigned>(pages), made_resident);
  link(*region);
  used_pages_ += pages;
  resident_pages_ += made_resident;
  if (made_resident > 0) stay_within_limit(0);
  least_free_pages_ = std::min(least_free_pages_, free_pages());
  ASAN_UNPOISON_MEMORY_REGION(region->at(page), bytes);
  return {region->at(page), region};
}

void Arena::free(Region& region, std::byte* data, std::size_t bytes) {
  ASAN_POISON_MEMORY_REGION(data, bytes);
  unlink(region);
  region.put(region.page_of(data), static_cast<unsigned>(bytes / kPageBytes));
  link(region);
  used_pages_ -= bytes / kPageBytes;
}

void Arena::stay_within_limit(std::uint64_t more_pages) {
  const std::uint64_t wanted = resident_pages_ + more_pages;
  if (wanted > limit_pages_) give_back(wanted - limit_pages_);
}

void Arena::trim() {
  const std::uint64_t spare = std::min(least_free_pages_, free_pages());
  if (spare > kAlwaysKeptPages) give_back(spare - kAlwaysKeptPages);
  least_free_pages_ = free_pages();
}

// Whole regions first; then the free blocks of regions, beginning with the region whose free memory
// has not changed for longest.
void Arena::give_back(std::uint64_t pages) {
  const std::uint64_t target = resident_pages_ - std::min(pages, resident_pages_);
  ByBlock& unused = regions_[Region::kOrders - 1];
  while (resident_pages_ > target && !unused.empty()) {
    Region& region = unused.back();
    unlink(region);
    resident_pages_ -= region.free_resident();
    --region_count_;
    ASAN_UNPOISON_MEMORY_REGION(region.at(0), Region::kBytes);
    delete &region;
  }
  while (resident_pages_ > target && !holders_.empty()) {
    Region& region = holders_.back();
    holders_.pop_back();
    resident_pages_ -= region.discard_free();
  }
  least_free_pages_ = std::min(least_free_pages_, free_pages());
}

}  // namespace foliofs::cache
