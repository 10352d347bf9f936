// Buffers for bulk payloads. Large ones are kept and used again: fresh ones would cost a page fault
// for every 4 KiB.
#pragma once

#include <cstddef>
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
    std::swap(home_, other.home_);
    return *this;
  }
  ~Buffer();

  std::span<std::byte> bytes() const { return {bytes_.get(), size_}; }
  std::size_t size() const { return size_; }
  void shrink(std::size_t size) { size_ = std::min(size_, size); }

 private:
  friend class BufferPool;

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
  BufferPool* home_ = nullptr;  // where the bytes go back to; null for small ones
};

// Thread-safe; outlives its buffers.
class BufferPool {
 public:
  // REQUIRES: size <= kMaxPayloadBytes.
  Buffer take(std::size_t size) {
    Buffer buffer;
    buffer.size_ = size;
    if (size < kSmall) {
      buffer.bytes_ = std::make_unique_for_overwrite<std::byte[]>(size);
      return buffer;
    }
    buffer.home_ = this;
    std::lock_guard lock(mutex_);
    if (free_.empty()) {
      buffer.bytes_ = std::make_unique_for_overwrite<std::byte[]>(kMaxPayloadBytes);
    } else {
      buffer.bytes_ = std::move(free_.back());
      free_.pop_back();
    }
    return buffer;
  }

 private:
  friend class Buffer;

  void give_back(std::unique_ptr<std::byte[]> bytes) {
    std::lock_guard lock(mutex_);
    if (free_.size() < kKept) free_.push_back(std::move(bytes));
  }

  static constexpr std::size_t kSmall = 64 * 1024;
  static constexpr std::size_t kKept = 32;

  std::mutex mutex_;  // guards free_
  std::vector<std::unique_ptr<std::byte[]>> free_;
};

inline Buffer::~Buffer() {
  if (home_ != nullptr && bytes_ != nullptr) home_->give_back(std::move(bytes_));
}

}  // namespace foliofs::server
