#include "foliofs/cache/buffer.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace foliofs::cache {

BufferRef Buffer::allocate(std::shared_ptr<MemoryUse> use, std::size_t capacity_bytes) {
  // Aligned as a page is: the kernel copies whole pages faster in and out of it.
  constexpr std::size_t kAlignment = 4096;
  const std::size_t capacity = (capacity_bytes + kAlignment - 1) / kAlignment * kAlignment;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, capacity));
  if (data == nullptr) return nullptr;
  return BufferRef(new Buffer(std::move(use), data, capacity));
}

Buffer::Buffer(std::shared_ptr<MemoryUse> use, std::byte* data, std::size_t capacity)
    : use_(std::move(use)), data_(data), capacity_(capacity) {
  use_->bytes += capacity_;
  use_->peak_bytes = std::max(use_->peak_bytes, use_->bytes);
}

Buffer::~Buffer() {
  use_->bytes -= capacity_;
  std::free(data_);
}

}  // namespace foliofs::cache
