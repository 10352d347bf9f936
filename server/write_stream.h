// WriteStream: notices that a file is written sequentially, and chooses what the disk may begin to
// write meanwhile.
//
// The kernel keeps written data in memory for seconds, so the fsync(2) at the end of a large file
// would have to wait for all of it while the processors have nothing to do. If writeout begins
// early, the disk works in parallel with them. This is only for long streams: a short file is often
// deleted or overwritten before the kernel would have begun to write it.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "foliofs/base/byte_range.h"

namespace foliofs::server {

// Thread-safe.
class WriteStream {
 public:
  // How much is handed to the disk at a time.
  static constexpr std::uint64_t kStep = 8 << 20;
  // This much at the end of a stream is left to the kernel, because it may still be overwritten.
  static constexpr std::uint64_t kKept = 8 << 20;
  // A client sends several WRITEs at once, so one may arrive before those that precede it in the
  // file.
  static constexpr std::uint64_t kDisorder = 4 << 20;

  // `range` has been written. Returns the bytes that the disk is to begin to write now, if any.
  std::optional<ByteRange> wrote(ByteRange range);

 private:
  std::mutex mutex_;           // guards what follows
  ByteRange pending_;          // what the stream has passed and the disk has not
  std::uint64_t written_ = 0;  // bytes that were written to pending_
};

}  // namespace foliofs::server
