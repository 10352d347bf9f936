#include "foliofs/cache/buffer.h"

#include <algorithm>

#include "arena.h"

namespace foliofs::cache {

MemoryUse::MemoryUse() : arena(std::make_unique<Arena>()) {}
MemoryUse::~MemoryUse() = default;

void MemoryUse::add(std::uint64_t more) {
  bytes += more;
  peak_bytes = std::max(peak_bytes, bytes);
}

void MemoryUse::subtract(std::uint64_t less) {
  bytes -= less;
  if (on_freed) on_freed();
}

BufferRef Buffer::allocate(std::shared_ptr<MemoryUse> use, std::size_t capacity_bytes) {
  static_assert(kAlignment == Arena::kPageBytes);
  const std::size_t capacity = round_up(capacity_bytes);
  const Arena::Piece piece = use->arena->allocate(capacity);
  if (piece.data == nullptr) return nullptr;
  return BufferRef(new Buffer(std::move(use), *piece.region, piece.data, capacity));
}

Buffer::Buffer(std::shared_ptr<MemoryUse> use, Region& region, std::byte* data,
               std::size_t capacity)
    : use_(std::move(use)), region_(region), data_(data), capacity_(capacity) {
  use_->add(capacity_);
}

Buffer::~Buffer() {
  use_->arena->free(region_, data_, capacity_);
  use_->subtract(capacity_);
}

}  // namespace foliofs::cache
