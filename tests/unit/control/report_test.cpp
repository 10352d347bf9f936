#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "foliofs/control/report_json.h"

namespace foliofs::control {
namespace {

using nlohmann::json;

std::vector<std::string> keys(const json& object) {
  std::vector<std::string> names;
  for (const auto& [key, value] : object.items()) names.push_back(key);
  return names;
}

TEST(ReportJson, an_invalidation_has_exactly_these_keys) {
  cache::InvalidateReport report;
  report.mode = cache::InvalidateMode::kBulk;
  report.bytes_written = 1ull << 40;
  report.writer_stall_us_max = std::chrono::microseconds(7);
  const json object = invalidate_json(report);
  EXPECT_THAT(keys(object),
              testing::UnorderedElementsAre("mode", "reason", "folios_dropped", "folios_kept",
                                            "folios_laundered", "write_calls", "bytes_written",
                                            "elapsed_us", "writer_stall_us_max", "error"));
  EXPECT_EQ(object["mode"], "bulk");
  EXPECT_EQ(object["reason"], "user");
  EXPECT_EQ(object["bytes_written"], 1ull << 40);
  EXPECT_EQ(object["writer_stall_us_max"], 7);
  EXPECT_TRUE(object["error"].is_null());
}

TEST(ReportJson, an_error_is_named) {
  cache::InvalidateReport report;
  report.error = Errno(ENOSPC);
  EXPECT_EQ(invalidate_json(report)["error"], "ENOSPC");
}

TEST(ReportJson, stats_have_their_parts) {
  vfs::MountStats stats;
  stats.cache.dirty_bytes = 42;
  stats.cache.readahead_hits = 3;
  stats.cache.invalidations[2][1] = 5;
  stats.connection = rpc::ConnectionState::kDisconnected;
  rpc::CallStats call;
  call.count = 2;
  call.total_us = 5;
  stats.rpc.calls[proto::MessageType::kWrite] = call;
  const json object = stats_json(stats, std::chrono::microseconds(9), vfs::MountOptions());
  EXPECT_THAT(keys(object), testing::UnorderedElementsAre(
                                "cache", "readahead", "rpc", "session", "invalidations", "options",
                                "inodes", "inode_bytes", "leases", "open_files", "idle_opens"));
  EXPECT_EQ(object["cache"]["dirty_bytes"], 42);
  EXPECT_EQ(object["readahead"]["hits"], 3);
  EXPECT_EQ(object["rpc"]["write"]["count"], 2);
  EXPECT_EQ(object["rpc"]["write"]["mean_us"], 3);
  EXPECT_EQ(object["session"]["state"], "disconnected");
  EXPECT_EQ(object["session"]["silent_us"], 9);
  EXPECT_EQ(object["invalidations"]["hybrid"]["revalidate"], 5);
  EXPECT_EQ(object["options"]["invalidate"], "hybrid");
}

}  // namespace
}  // namespace foliofs::control
