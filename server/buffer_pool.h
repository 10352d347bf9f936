// Buffers for bulk payloads. Large ones are kept and reused, because a fresh one would cost a page
// fault for every 4 KiB.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "foliofs/base/limits.h"

namespace foliofs::server {

class BufferPool;

// Uninitialized bytes with one owner.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(home_, other.home_);
    return *this;
  }
  ~Buffer();

  std::span<std::byte> bytes() const { return {bytes_.get(), size_}; }
  std::size_t size() const { return size_; }
  // How much memory it occupies.
  std::size_t capacity() const { return bytes_ == nullptr ? 0 : capacity_; }
  // Keeps the first `size` bytes; the capacity does not change.
  void shrink(std::size_t size) { size_ = std::min(size_, size); }

 private:
  friend class BufferPool;

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  BufferPool* home_ = nullptr;  // the pool that the bytes go back to; null for small buffers
};

// Thread-safe; outlives its buffers.
class BufferPool {
 public:
  // The capacity of a buffer of `size` bytes.
  static constexpr std::size_t capacity_for(std::size_t size) {
    return size < kSmall ? size : std::bit_ceil(size);
  }

  // A buffer of `size` bytes. REQUIRES: size <= kMaxPayloadBytes.
  Buffer take(std::size_t size) {
    Buffer buffer;
    buffer.size_ = size;
    buffer.capacity_ = capacity_for(size);
    if (size >= kSmall) {
      buffer.home_ = this;
      std::lock_guard lock(mutex_);
      auto& free = free_[class_of(buffer.capacity_)];
      if (!free.empty()) {
        buffer.bytes_ = std::move(free.back());
        free.pop_back();
        kept_bytes_ -= buffer.capacity_;
        return buffer;
      }
    }
    buffer.bytes_ = std::make_unique_for_overwrite<std::byte[]>(buffer.capacity_);
    return buffer;
  }

  // Returns `buffer`, moved into a smaller one if at least half of its capacity is unused.
  Buffer fit(Buffer buffer) {
    if (2 * capacity_for(buffer.size()) > buffer.capacity()) return buffer;
    Buffer fitting = take(buffer.size());
    if (buffer.size() > 0) std::memcpy(fitting.bytes_.get(), buffer.bytes_.get(), buffer.size());
    return fitting;
  }

 private:
  friend class Buffer;

  static constexpr std::size_t kSmall = 64 << 10;
  static constexpr std::size_t kMostKept = 32u << 20;
  static constexpr std::size_t kClasses = std::countr_zero(kMaxPayloadBytes / kSmall) + 1;
  static constexpr std::size_t class_of(std::size_t capacity) {
    return static_cast<std::size_t>(std::countr_zero(capacity / kSmall));
  }

  void give_back(std::unique_ptr<std::byte[]> bytes, std::size_t capacity) {
    std::lock_guard lock(mutex_);
    if (kept_bytes_ + capacity > kMostKept) return;
    kept_bytes_ += capacity;
    free_[class_of(capacity)].push_back(std::move(bytes));
  }

  std::mutex mutex_;  // guards what follows
  std::size_t kept_bytes_ = 0;
  std::array<std::vector<std::unique_ptr<std::byte[]>>, kClasses> free_;
};

inline Buffer::~Buffer() {
  if (home_ != nullptr && bytes_ != nullptr) home_->give_back(std::move(bytes_), capacity_);
}

}  // namespace foliofs::server
