#include "region.h"

#include <sys/mman.h>

#include <bit>
#include <cassert>
#include <memory>
#include <new>

namespace foliofs::cache {

namespace {

constexpr unsigned order_for(unsigned pages) {
  return static_cast<unsigned>(std::bit_width(pages - 1));
}

}  // namespace

Region* Region::map(bool huge) {
  // Twice as much, because an aligned region is to be found in it.
  constexpr int kProtection = PROT_READ | PROT_WRITE, kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  void* mapped = ::mmap(nullptr, 2 * kBytes, kProtection, kFlags, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(mapped);
  const std::size_t before = (kBytes - reinterpret_cast<std::uintptr_t>(begin) % kBytes) % kBytes;
  if (before > 0) ::munmap(begin, before);
  begin += before;
  ::munmap(begin + kBytes, kBytes - before);
  (void)::madvise(begin, kBytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  auto* region = new (std::nothrow) Region(begin);
  if (region == nullptr) ::munmap(begin, kBytes);
  return region;
}

// All of it counts as resident from the start, because a huge page becomes so at the first touch.
Region::Region(std::byte* base) : base_(base), free_resident_(kPages) {
  resident_.set();
  add_block(0, kOrders - 1);
}

Region::~Region() {
  ::munmap(base_, kBytes);
}

unsigned Region::Blocks::first() const {
  unsigned word = 0;
  while (words[word] == 0) ++word;
  return word * 64 + static_cast<unsigned>(std::countr_zero(words[word]));
}

void Region::add_block(unsigned page, unsigned order) {
  free_[order].flip(page >> order);
  ++free_[order].count;
}

void Region::find_largest() {
  largest_ = kNone;
  for (unsigned order = kOrders; order-- > 0 && largest_ == kNone;) {
    if (free_[order].count > 0) largest_ = order;
  }
}

unsigned Region::take(unsigned pages, unsigned& made_resident) {
  unsigned order = order_for(pages);
  while (free_[order].count == 0) ++order;
  assert(order < kOrders);
  const unsigned index = free_[order].first(), page = index << order;
  free_[order].flip(index);
  --free_[order].count;
  // The rest of the block stays free, in blocks as large as their alignment allows.
  for (unsigned rest = page + pages, end = page + (1u << order); rest < end;) {
    const auto block = static_cast<unsigned>(std::countr_zero(rest));
    add_block(rest, block);
    rest += 1u << block;
  }
  for (unsigned i = page; i < page + pages; ++i) {
    if (resident_.test(i)) {
      --free_resident_;
    } else {
      resident_.set(i);
      ++made_resident;
    }
  }
  find_largest();
  return page;
}

void Region::put(unsigned page, unsigned pages) {
  free_resident_ += pages;
  while (pages > 0) {
    const unsigned order =
        std::min(page == 0 ? kOrders - 1 : static_cast<unsigned>(std::countr_zero(page)),
                 static_cast<unsigned>(std::bit_width(pages)) - 1);
    put_block(page, order);
    page += 1u << order;
    pages -= 1u << order;
  }
  find_largest();
}

// Merges the block with its buddy, again and again, for as long as the buddy is free too.
void Region::put_block(unsigned page, unsigned order) {
  for (; order < kOrders - 1; ++order) {
    const unsigned buddy = (page >> order) ^ 1;
    if (!free_[order].has(buddy)) break;
    free_[order].flip(buddy);
    --free_[order].count;
    page &= ~(1u << order);
  }
  add_block(page, order);
}

unsigned Region::discard_free() {
  const unsigned discarded = free_resident_;
  for (unsigned order = 0; order < kOrders; ++order) {
    for (unsigned index = 0; free_[order].count > 0 && index < (kPages >> order); ++index) {
      if (!free_[order].has(index)) continue;
      const unsigned page = index << order;
      (void)::madvise(at(page), kPageBytes << order, MADV_DONTNEED);
      for (unsigned i = page; i < page + (1u << order); ++i) resident_.reset(i);
    }
  }
  free_resident_ = 0;
  return discarded;
}

}  // namespace foliofs::cache
