// WriteStream: notices that a file is written from one end towards the other, and what of it the
// disk may begin to write meanwhile.
//
// The kernel keeps what is written in memory for seconds, so that the fsync(2) at the end of a
// large file stands still for all of it while the processors have nothing to do. The disk works
// beside them when it begins in time. Only long streams: what is short is often gone or written
// again before the kernel would have begun.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "foliofs/base/byte_range.h"

namespace foliofs::server {

// Thread-safe.
class WriteStream {
 public:
  // What is handed to the disk at a time.
  static constexpr std::uint64_t kStep = 8 << 20;
  // This much at the end of a stream is left to the kernel: it may still be written over.
  static constexpr std::uint64_t kKept = 8 << 20;
  // A client sends several WRITEs at once: one may be there before what belongs in front of it.
  static constexpr std::uint64_t kDisorder = 4 << 20;

  // `range` has been written. The bytes whose writing to disk is to begin now, if any.
  std::optional<ByteRange> wrote(ByteRange range);

 private:
  std::mutex mutex_;           // guards what follows
  ByteRange pending_;          // where the stream has been, and the disk not
  std::uint64_t written_ = 0;  // bytes that were written there
};

}  // namespace foliofs::server
