#include "tests/sim/wire.h"

#include <algorithm>
#include <cstring>

namespace foliofs::sim {

Task<Result<std::size_t>> Wire::Direction::read_some(std::span<const iovec> into) {
  while (!cut_ && (bytes_.empty() || held_)) co_await changed_.wait();
  if (cut_) co_return Errno(ECONNRESET);
  std::size_t most = bytes_.size();
  if (random_.one_in(8)) most = random_.between(1, most);
  std::size_t done = 0;
  for (const iovec& part : into) {
    const std::size_t count = std::min(part.iov_len, most - done);
    std::memcpy(part.iov_base, bytes_.data() + done, count);
    done += count;
  }
  bytes_.erase(0, done);
  co_return done;
}

void Wire::Direction::write(std::span<const std::byte> bytes) {
  bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  changed_.wake_all();
}

void Wire::Direction::hold(bool held) {
  held_ = held;
  changed_.wake_all();
}

void Wire::Direction::cut() {
  cut_ = true;
  bytes_.clear();
  changed_.wake_all();
}

Task<Result<std::size_t>> WireTransport::read_some(std::span<const iovec> into) {
  auto wire = wire_;
  co_return co_await wire->to_client.read_some(into);
}

Task<Status> WireTransport::write_all(std::span<const iovec> from) {
  if (wire_->to_server.is_cut()) co_return Errno(ECONNRESET);
  for (const iovec& part : from) {
    wire_->to_server.write({static_cast<const std::byte*>(part.iov_base), part.iov_len});
  }
  co_return success();
}

}  // namespace foliofs::sim
