// RpcStats: what a session counts about its calls, by message type.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>

#include "foliofs/proto/frame.h"

namespace foliofs::rpc {

// Latencies in power-of-two buckets of microseconds: bucket i counts calls below 2^i us.
struct CallStats {
  std::uint64_t count = 0;
  std::uint64_t errors = 0;
  std::uint64_t bytes_sent = 0;      // payload
  std::uint64_t bytes_received = 0;  // payload
  std::uint64_t total_us = 0;
  std::uint64_t max_us = 0;
  std::array<std::uint64_t, 32> latency_buckets{};

  void record(std::chrono::microseconds latency_us);
  // An upper bound, in us, on the latency of the given share (0…1) of the calls: that of the bucket
  // in which the share is reached.
  std::uint64_t percentile_us(double share) const;
};

struct RpcStats {
  std::map<proto::MessageType, CallStats> calls;
  std::uint64_t connects = 0;
  std::uint64_t disconnects = 0;
  std::uint64_t sessions = 0;  // begun; more than 1 when the server has forgotten a session
  std::uint64_t replays = 0;   // requests sent again after a reconnect
  std::uint64_t in_flight = 0;
};

}  // namespace foliofs::rpc
