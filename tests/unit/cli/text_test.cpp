#include "src/cli/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/cli/stats_table.h"

namespace foliofs::cli {
namespace {

using nlohmann::json;

TEST(Text, bytes_have_a_unit) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(3ull << 30), "3.0 GiB");
  EXPECT_EQ(bytes_text(~0ull), "16.0 EiB");
}

TEST(Text, durations_have_a_unit) {
  EXPECT_EQ(duration_text(999), "999 us");
  EXPECT_EQ(duration_text(12'500), "12.5 ms");
  EXPECT_EQ(duration_text(3'200'000), "3.2 s");
}

TEST(StatsTable, shows_what_is_there_and_survives_what_is_not) {
  MountEntry mount;
  mount.source = "host:/share";
  mount.mount_point = "/mnt";
  EXPECT_THAT(stats_text(mount, json::parse(R"({"cache": [1], "rpc": 7, "server": {}})")),
              testing::StartsWith("host:/share on /mnt\n"));
  const json stats = json::parse(
      R"({"cache": {"dirty_bytes": 2048}, "rpc": {"write": {"count": 12, "p99_us": 1500}},
          "options": {"invalidate": "bulk"}})");
  const std::string text = stats_text(mount, stats);
  EXPECT_THAT(text, testing::HasSubstr("2.0 KiB dirty"));
  EXPECT_THAT(text, testing::ContainsRegex("write +12 .* 1.5 ms"));
  EXPECT_THAT(text, testing::ContainsRegex("invalidate +bulk"));
}

TEST(StatsTable, an_invalidation_that_failed_says_so) {
  const json report = json::parse(R"({"mode": "hybrid", "folios_kept": 3, "error": "ENOSPC"})");
  const std::string text = invalidate_text("/mnt/f", report);
  EXPECT_THAT(text, testing::StartsWith("/mnt/f: hybrid failed: ENOSPC\n"));
  EXPECT_THAT(text, testing::HasSubstr("3 kept"));
}

}  // namespace
}  // namespace foliofs::cli
