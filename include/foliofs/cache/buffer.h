// Buffer: the memory of a folio. It counts against the cache's budget for as long as anything holds
// a reference to it.
//
// Writeback and replies hold a reference to the buffer that the folio had when they began. While a
// buffer is shared in this way, a store to the folio goes into a copy (copy on write), so the bytes
// that a WRITE or a reply refers to never change.
//
// The memory itself comes from the arena (src/cache/arena.h).
#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace foliofs::cache {

class Arena;
class Region;

// The memory that one cache occupies, in buffers and in Folio objects, and the arena from which the
// buffers are cut. Single-threaded, as the cache is.
struct MemoryUse {
  MemoryUse();
  ~MemoryUse();
  MemoryUse(const MemoryUse&) = delete;
  MemoryUse& operator=(const MemoryUse&) = delete;

  const std::unique_ptr<Arena> arena;
  std::uint64_t bytes = 0;
  std::uint64_t peak_bytes = 0;
  std::function<void()> on_freed;  // called whenever `bytes` has fallen; may be empty

  void add(std::uint64_t more);
  void subtract(std::uint64_t less);
};

class Buffer;
using BufferRef = boost::intrusive_ptr<Buffer>;

class Buffer {
 public:
  // Contents are undefined. `use` must outlive the buffer. nullptr when memory is exhausted.
  static BufferRef allocate(std::shared_ptr<MemoryUse> use, std::size_t capacity_bytes);

  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t capacity() const { return capacity_; }
  static constexpr std::size_t kAlignment = 4096;
  // The capacity that allocate() gives to a buffer of `bytes`.
  static constexpr std::size_t round_up(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  bool shared() const { return references_ > 1; }

 private:
  Buffer(std::shared_ptr<MemoryUse> use, Region& region, std::byte* data, std::size_t capacity);
  friend void intrusive_ptr_add_ref(Buffer* buffer) { ++buffer->references_; }
  friend void intrusive_ptr_release(Buffer* buffer) {
    if (--buffer->references_ == 0) delete buffer;
  }

  const std::shared_ptr<MemoryUse> use_;
  Region& region_;
  std::byte* const data_;
  const std::size_t capacity_;
  std::uint32_t references_ = 0;
};

}  // namespace foliofs::cache
