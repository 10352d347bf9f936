#include "foliofs/cache/buffer.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace foliofs::cache {

void MemoryUse::add(std::uint64_t more) {
  bytes += more;
  peak_bytes = std::max(peak_bytes, bytes);
}

void MemoryUse::subtract(std::uint64_t less) {
  bytes -= less;
  if (on_freed) on_freed();
}

BufferRef Buffer::allocate(std::shared_ptr<MemoryUse> use, std::size_t capacity_bytes) {
  // Aligned as a page is: the kernel copies whole pages faster in and out of it.
  const std::size_t capacity = round_up(capacity_bytes);
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, capacity));
  if (data == nullptr) return nullptr;
  return BufferRef(new Buffer(std::move(use), data, capacity));
}

Buffer::Buffer(std::shared_ptr<MemoryUse> use, std::byte* data, std::size_t capacity)
    : use_(std::move(use)), data_(data), capacity_(capacity) {
  use_->add(capacity_);
}

Buffer::~Buffer() {
  std::free(data_);
  use_->subtract(capacity_);
}

}  // namespace foliofs::cache
