// Submounts: what /proc/self/mountinfo says of mounts below ours.
#include <gtest/gtest.h>

#include <sstream>

#include "src/fuse/submounts.h"

namespace foliofs::fuse {
namespace {

bool below(const std::string& mountinfo) {
  std::istringstream in(mountinfo);
  return has_submounts(in, "0:51");
}

constexpr char kOurs[] =
    "22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n"
    "40 22 0:51 / /mnt/share rw,nosuid,nodev - fuse.foliofs localhost:/main rw\n";

TEST(Submounts, AMountAloneHasNone) {
  EXPECT_FALSE(below(kOurs));
  EXPECT_FALSE(below(kOurs + std::string("41 22 0:52 / /mnt/other rw - tmpfs tmpfs rw\n")));
  EXPECT_FALSE(below(""));
  EXPECT_FALSE(below("what\n\n"));
}

TEST(Submounts, WhatIsMountedOnAFileOfItCounts) {
  EXPECT_TRUE(below(kOurs + std::string("41 40 254:1 /x /mnt/share/f rw - ext4 /dev/vda1 rw\n")));
}

TEST(Submounts, AlsoBelowAnotherPlaceWhereItIsBound) {
  const std::string bound = kOurs + std::string("41 22 0:51 /d /srv/d rw - fuse.foliofs x rw\n");
  EXPECT_FALSE(below(bound));
  EXPECT_TRUE(below("42 41 0:53 / /srv/d/e rw - tmpfs tmpfs rw\n" + bound));
}

}  // namespace
}  // namespace foliofs::fuse
