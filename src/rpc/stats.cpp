#include "foliofs/rpc/stats.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace foliofs::rpc {

void CallStats::record(std::chrono::microseconds latency_us) {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(0, latency_us.count()));
  ++count;
  total_us += us;
  max_us = std::max(max_us, us);
  const auto bucket = static_cast<std::size_t>(std::bit_width(us));
  ++latency_buckets[std::min(bucket, latency_buckets.size() - 1)];
}

std::uint64_t CallStats::percentile_us(double share) const {
  const double wanted = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count));
  double reached = 0;
  for (std::size_t i = 0; i < latency_buckets.size(); ++i) {
    reached += static_cast<double>(latency_buckets[i]);
    if (reached > 0 && reached >= wanted) return std::uint64_t{1} << i;
  }
  return 0;  // nothing was counted yet
}

}  // namespace foliofs::rpc
