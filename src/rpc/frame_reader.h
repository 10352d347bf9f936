// FrameReader: takes frames from a transport with few reads.
//
// It reads into a staging buffer, so that many small frames come with one read; a payload is copied
// from there as far as it came with its header, and the rest of it is read straight to where it
// belongs. Knows headers and lengths, not what the frames mean.
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

  // Bytes at hand, without a read.
  std::size_t staged_bytes() const { return end_ - begin_; }
  // Waits until at least `bytes` are at hand. REQUIRES: bytes <= kStagingBytes.
  // Errors: the transport's.
  Task<Status> stage(std::size_t bytes);

  // EPROTO when it is not a header. REQUIRES: staged_bytes() >= kHeaderBytes.
  Result<proto::FrameHeader> take_header();
  // REQUIRES: bytes <= staged_bytes(). Valid until the next call.
  std::span<const std::byte> take(std::size_t bytes);

  // Exactly `bytes` into the beginning of `into`. Errors: the transport's.
  Task<Status> read(std::span<const iovec> into, std::size_t bytes);
  // Takes `bytes` and forgets them.
  Task<Status> skip(std::size_t bytes);

  // When bytes last came in; the clock's zero before the first.
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
