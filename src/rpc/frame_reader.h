// FrameReader: takes frames from a transport with few reads.
//
// It reads into a staging buffer, so that one read brings many small frames. The part of a payload
// that came with its header is copied from there; the rest is read directly to its destination.
// Knows headers and lengths, not what the frames mean.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "foliofs/base/clock.h"
#include "foliofs/base/result.h"
#include "foliofs/base/task.h"
#include "foliofs/proto/frame.h"
#include "foliofs/rpc/transport.h"

namespace foliofs::rpc {

class FrameReader {
 public:
  static constexpr std::size_t kStagingBytes = 64UL * 1024;

  // Both must outlive the reader.
  FrameReader(Transport& transport, Clock& clock);

  // How many bytes can be taken without a read.
  std::size_t staged_bytes() const { return end_ - begin_; }
  // Reads until at least `bytes` are staged. REQUIRES: bytes <= kStagingBytes.
  // Errors: the transport's.
  Task<Status> stage(std::size_t bytes);

  // EPROTO when it is not a header. REQUIRES: staged_bytes() >= kHeaderBytes.
  Result<proto::FrameHeader> take_header();
  // REQUIRES: bytes <= staged_bytes(). Valid until the next call.
  std::span<const std::byte> take(std::size_t bytes);

  // Reads exactly `bytes` into the beginning of `into`. Errors: the transport's.
  Task<Status> read(std::span<const iovec> into, std::size_t bytes);
  // Reads `bytes` and discards them. Errors: the transport's.
  Task<Status> skip(std::size_t bytes);

  // When the last bytes came in; the clock's zero before the first.
  TimePoint heard_at() const { return heard_at_; }

 private:
  Transport& transport_;
  Clock& clock_;
  std::unique_ptr<std::byte[]> staging_;
  std::size_t begin_ = 0, end_ = 0;  // what is staged
  std::vector<iovec> vectors_;       // of the read under way
  TimePoint heard_at_{};
};

}  // namespace foliofs::rpc
