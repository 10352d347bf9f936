#include "frame_reader.h"

#include <algorithm>
#include <cstring>

#include "io_cursor.h"

namespace foliofs::rpc {

namespace {
// For one read, including the staging buffer (IOV_MAX is 1024).
constexpr std::size_t kMaxVectors = 1024;
}  // namespace

FrameReader::FrameReader(Transport& transport, Clock& clock)
    : transport_(transport),
      clock_(clock),
      staging_(std::make_unique_for_overwrite<std::byte[]>(kStagingBytes)) {}

Task<Status> FrameReader::stage(std::size_t bytes) {
  if (begin_ + bytes > kStagingBytes || begin_ == end_) {
    std::memmove(staging_.get(), staging_.get() + begin_, staged_bytes());
    end_ -= begin_;
    begin_ = 0;
  }
  while (staged_bytes() < bytes) {
    const iovec rest{staging_.get() + end_, kStagingBytes - end_};
    auto got = co_await transport_.read_some(std::span(&rest, 1));
    if (!got) co_return got.error();
    end_ += got.value();
    heard_at_ = clock_.now();
  }
  co_return success();
}

std::span<const std::byte> FrameReader::take(std::size_t bytes) {
  std::span<const std::byte> taken(staging_.get() + begin_, bytes);
  begin_ += bytes;
  return taken;
}

Result<proto::FrameHeader> FrameReader::take_header() {
  return proto::decode_header(take(proto::kHeaderBytes).first<proto::kHeaderBytes>());
}

Task<Status> FrameReader::read(std::span<const iovec> into, std::size_t bytes) {
  IoCursor cursor(into, bytes);
  cursor.copy_in(take(std::min(bytes, staged_bytes())));
  while (cursor.left_bytes() > 0) {
    // Nothing is staged at this point. What comes behind the payload is read into the staging
    // buffer.
    begin_ = end_ = 0;
    vectors_.clear();
    const std::size_t direct = cursor.append_rest(vectors_, kMaxVectors - 1);
    if (direct == cursor.left_bytes()) vectors_.push_back({staging_.get(), kStagingBytes});
    auto got = co_await transport_.read_some(vectors_);
    if (!got) co_return got.error();
    heard_at_ = clock_.now();
    const std::size_t placed = std::min(got.value(), direct);
    cursor.advance(placed);
    end_ = got.value() - placed;
  }
  co_return success();
}

Task<Status> FrameReader::skip(std::size_t bytes) {
  while (bytes > 0) {
    if (staged_bytes() == 0) {
      auto staged = co_await stage(1);
      if (!staged) co_return staged.error();
    }
    bytes -= take(std::min(bytes, staged_bytes())).size();
  }
  co_return success();
}

}  // namespace foliofs::rpc
