// IoCursor: a position in a list of iovecs. Copies bytes into them, or lists what is left of them
// for a scatter/gather call. Does no I/O and owns no memory.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace foliofs::rpc {

inline std::size_t total_bytes(std::span<const iovec> vectors) {
  std::size_t bytes = 0;
  for (const iovec& vector : vectors) bytes += vector.iov_len;
  return bytes;
}

class IoCursor {
 public:
  // Covers the first `bytes` of `vectors`. REQUIRES: they hold that much, and outlive the cursor.
  IoCursor(std::span<const iovec> vectors, std::size_t bytes) : vectors_(vectors), left_(bytes) {}

  std::size_t left_bytes() const { return left_; }

  void advance(std::size_t bytes) {
    left_ -= bytes;
    while (bytes > 0) {
      const std::size_t step = std::min(bytes, vectors_[index_].iov_len - offset_);
      bytes -= step;
      offset_ += step;
      if (offset_ == vectors_[index_].iov_len) {
        ++index_;
        offset_ = 0;
      }
    }
  }

  // Copies `from` to the position and advances. REQUIRES: `from` is no longer than what is left.
  void copy_in(std::span<const std::byte> from) {
    while (!from.empty()) {
      const iovec& vector = vectors_[index_];
      const std::size_t step = std::min(from.size(), vector.iov_len - offset_);
      if (step > 0)
        std::memcpy(static_cast<std::byte*>(vector.iov_base) + offset_, from.data(), step);
      advance(step);
      if (step == 0) skip_empty();
      from = from.subspan(step);
    }
  }

  // Appends what is left to `out`, up to `max_bytes`, and until `out` has `max_vectors`. Returns
  // the number of bytes appended.
  std::size_t append_rest(std::vector<iovec>& out, std::size_t max_vectors,
                          std::size_t max_bytes = SIZE_MAX) const {
    const std::size_t wanted = std::min(left_, max_bytes);
    std::size_t appended = 0, offset = offset_;
    for (std::size_t i = index_; appended < wanted && out.size() < max_vectors; ++i, offset = 0) {
      const std::size_t step = std::min(vectors_[i].iov_len - offset, wanted - appended);
      if (step == 0) continue;
      out.push_back({static_cast<std::byte*>(vectors_[i].iov_base) + offset, step});
      appended += step;
    }
    return appended;
  }

 private:
  void skip_empty() {
    ++index_;
    offset_ = 0;
  }

  std::span<const iovec> vectors_;
  std::size_t index_ = 0, offset_ = 0;
  std::size_t left_;
};

}  // namespace foliofs::rpc
