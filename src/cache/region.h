// Region: 2 MiB of memory, divided by halves into blocks of 1, 2, 4 ... 512 pages (a buddy
// allocator).
//
// Knows which of its pages are free, and which of those still occupy memory. Owned by an Arena,
// which keeps it on two lists.
#pragma once

#include <array>
#include <bitset>
#include <boost/intrusive/list_hook.hpp>
#include <cstddef>
#include <cstdint>

namespace foliofs::cache {

struct ByLargestBlock;  // the list of regions whose largest free block is of the same order
struct HoldsFree;       // the list of regions that have free pages which occupy memory

using RegionByLargestBlock =
    boost::intrusive::list_base_hook<boost::intrusive::tag<ByLargestBlock>>;
using RegionHoldsFree = boost::intrusive::list_base_hook<boost::intrusive::tag<HoldsFree>>;

class Region : public RegionByLargestBlock, public RegionHoldsFree {
 public:
  static constexpr std::size_t kPageBytes = 4096;
  static constexpr std::size_t kBytes = 2 << 20;
  static constexpr unsigned kPages = kBytes / kPageBytes;
  // A block of order n has 2^n pages.
  static constexpr unsigned kOrders = 10;
  static constexpr unsigned kNone = kOrders;

  // nullptr when the system has no more memory. `huge`: the kernel is asked for one huge page, so
  // that a touch anywhere makes all of the region resident.
  static Region* map(bool huge);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  std::byte* at(unsigned page) const { return base_ + page * kPageBytes; }
  unsigned page_of(const std::byte* data) const {
    return static_cast<unsigned>(static_cast<std::size_t>(data - base_) / kPageBytes);
  }

  // The order of the largest free block, or kNone.
  unsigned largest() const { return largest_; }
  // Free pages that occupy memory.
  unsigned free_resident() const { return free_resident_; }

  // Takes the first `pages` pages of a free block and returns the first one. Adds to
  // `made_resident` how many of them occupied no memory.
  // REQUIRES: the largest free block has that many pages.
  unsigned take(unsigned pages, unsigned& made_resident);
  // Frees pages that were taken, in the same pieces or in others.
  void put(unsigned page, unsigned pages);
  // Returns the memory of all resident free pages to the system, and their number to the caller.
  unsigned discard_free();

 private:
  // Which blocks of one order are free: a bit for each, and how many.
  struct Blocks {
    std::array<std::uint64_t, kPages / 64> words{};
    unsigned count = 0;

    bool has(unsigned index) const { return (words[index / 64] >> (index % 64) & 1) != 0; }
    void flip(unsigned index) { words[index / 64] ^= std::uint64_t{1} << (index % 64); }
    unsigned first() const;
  };

  explicit Region(std::byte* base);
  void add_block(unsigned page, unsigned order);
  void put_block(unsigned page, unsigned order);
  void find_largest();

  std::byte* const base_;
  std::array<Blocks, kOrders> free_;
  unsigned largest_ = kOrders - 1;
  std::bitset<kPages> resident_;
  unsigned free_resident_ = 0;
};

}  // namespace foliofs::cache
