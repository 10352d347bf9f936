// Buffer: the memory of a folio, counted against the cache's budget for as long as anybody holds
// it.
//
// Buffers are shared by reference: writeback and replies hold the one that the folio had when they
// began, and a folio whose buffer is held elsewhere copies it before it is stored to (copy on
// write). So memory that somebody else sees never changes.
//
// The memory itself is the arena's (src/cache/arena.h).
#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace foliofs::cache {

class Arena;
class Region;

// The bytes that one cache occupies: all its buffers, and what it needs to know of each folio; and
// the arena that the buffers are cut from. Single-threaded, as the cache is.
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
  // What allocate() makes of a capacity.
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
