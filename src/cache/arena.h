// Arena: where the memory of buffers comes from.
//
// Fresh memory is expensive: the kernel clears each page at its first touch, which takes longer
// than to copy a page. So the arena takes memory from the system in regions of 2 MiB, each of which
// the kernel can map by one huge page where those are cheap, and reuses what is freed. It returns
// to the system what has not been needed for a while, and what would bring it over its limit: whole
// regions, and the free blocks of regions that are partly in use.
//
// Knows no budget: callers reserve their memory in the cache's before. Single-threaded.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "region.h"

namespace foliofs::cache {

class Arena {
 public:
  static constexpr std::size_t kPageBytes = Region::kPageBytes;

  struct Piece {
    std::byte* data = nullptr;  // nullptr: the system has no more memory
    Region* region = nullptr;   // for free()
  };

  Arena() = default;
  // REQUIRES: everything has been freed.
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // The content is undefined. REQUIRES: whole pages, at least one, no more than a region has.
  Piece allocate(std::size_t bytes);
  // Frees a piece, or some pages of one.
  void free(Region& region, std::byte* data, std::size_t bytes);

  // The arena returns free memory to the system before it would occupy more than this.
  void set_limit(std::uint64_t bytes) { limit_pages_ = bytes / kPageBytes; }
  // Returns to the system as much as has been free ever since the last call, except two regions.
  void trim();
  // trim() has something to return, now or the next time.
  bool keeps_much() const { return free_pages() > kAlwaysKeptPages; }

  // What the arena occupies, whether in use or free.
  std::uint64_t resident_bytes() const { return resident_pages_ * kPageBytes; }
  std::uint64_t free_bytes() const { return free_pages() * kPageBytes; }

 private:
  static constexpr std::uint64_t kAlwaysKeptPages = std::uint64_t{2} * Region::kPages;

  using ByBlock = boost::intrusive::list<Region, boost::intrusive::base_hook<RegionByLargestBlock>>;
  using Holders = boost::intrusive::list<Region, boost::intrusive::base_hook<RegionHoldsFree>>;

  std::uint64_t free_pages() const { return resident_pages_ - used_pages_; }
  Region* region_with(std::size_t pages);
  Region* map_region();
  void stay_within_limit(std::uint64_t more_pages);
  void give_back(std::uint64_t pages);
  // Puts the region on the lists to which its present state assigns it.
  void link(Region& region);
  void unlink(Region& region);

  ByBlock regions_[Region::kOrders + 1];  // by the order of their largest free block
  Holders holders_;                       // of free memory; the latest change first
  std::uint64_t region_count_ = 0;
  unsigned small_regions_left_ = 0;
  std::uint64_t resident_pages_ = 0;
  std::uint64_t used_pages_ = 0;
  std::uint64_t least_free_pages_ = 0;  // since the last trim()
  std::uint64_t limit_pages_ = UINT64_MAX;
};

}  // namespace foliofs::cache
