#include "server/write_stream.h"

#include <algorithm>

namespace foliofs::server {

std::optional<ByteRange> WriteStream::wrote(ByteRange range) {
  const std::scoped_lock lock(mutex_);
  if (range.begin < pending_.begin || range.begin > pending_.end + kDisorder) {
    pending_ = range;
    written_ = 0;
  }
  pending_.end = std::max(pending_.end, range.end);
  written_ += range.size();
  constexpr std::uint64_t kEnough = kStep + kKept;
  if (pending_.size() < kEnough || written_ < kEnough) return std::nullopt;
  const ByteRange begun{pending_.begin, pending_.end - kKept};
  pending_.begin = begun.end;
  written_ = kKept;
  return begun;
}

}  // namespace foliofs::server
