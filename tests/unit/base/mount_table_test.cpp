#include "foliofs/base/mount_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foliofs {
namespace {

constexpr std::string_view kMountinfo =
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
    "40 27 0:41 / /mnt/share rw,nosuid,nodev,relatime shared:7 - fuse.foliofs host:/share "
    "rw,user_id=1000,group_id=100,allow_other\n"
    "41 27 0:42 / /mnt/a\\040b\\134c rw - fuse.foliofs [::1]:/x ro,user_id=0\n"
    "nonsense\n"
    "42 27 nodevice / /mnt/bad rw - fuse.foliofs host:/bad rw\n"
    "43 40 0:43 / /mnt/share/inner rw - tmpfs none rw\n"
    "44 27 0:44 / /mnt/share rw - fuse.sshfs host:/over rw,user_id=5\n";

TEST(MountTable, takes_the_fields_of_a_line) {
  const MountTable table = parse_mount_table(kMountinfo);
  ASSERT_EQ(table.size(), 5u);
  const MountEntry& share = table[1];
  EXPECT_TRUE(share.is_foliofs());
  EXPECT_EQ(share.id, 40);
  EXPECT_EQ(share.parent_id, 27);
  EXPECT_EQ(share.device, "0:41");
  EXPECT_EQ(share.minor, 41u);
  EXPECT_EQ(share.mount_point, "/mnt/share");
  EXPECT_EQ(share.source, "host:/share");
  EXPECT_EQ(share.owner, 1000u);
  EXPECT_THAT(share.options, testing::IsSupersetOf({"nosuid", "allow_other"}));
  EXPECT_FALSE(table[0].is_foliofs());
}

TEST(MountTable, undoes_the_kernels_escapes) {
  EXPECT_EQ(parse_mount_table(kMountinfo)[2].mount_point, "/mnt/a b\\c");
}

TEST(MountTable, lines_of_another_form_are_left_out) {
  EXPECT_TRUE(parse_mount_table("").empty());
  EXPECT_TRUE(parse_mount_table("1 2 3:4 / /mnt\n- - -\n1 2 0:4 / /m rw - type\n").empty());
}

TEST(MountTable, the_later_mount_covers_the_earlier) {
  const MountTable table = parse_mount_table(kMountinfo);
  EXPECT_EQ(find_mount_point(table, "/mnt/share")->source, "host:/over");
  EXPECT_EQ(find_mount_point(table, "/mnt"), nullptr);
  EXPECT_EQ(find_covering(table, "/mnt/share/file")->source, "host:/over");
}

TEST(MountTable, the_longest_mount_point_covers_a_path) {
  const MountTable table = parse_mount_table(kMountinfo);
  EXPECT_EQ(find_covering(table, "/mnt/share/inner/x")->type, "tmpfs");
  EXPECT_EQ(find_covering(table, "/mnt/shared")->mount_point, "/");
  EXPECT_EQ(find_covering(table, "/mnt/a b\\c")->device, "0:42");
  EXPECT_EQ(find_covering(MountTable(), "/x"), nullptr);
}

bool has_submounts_of(const std::string& mountinfo) {
  return has_submounts(parse_mount_table(mountinfo), "0:51");
}

constexpr char kOurs[] =
    "22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n"
    "40 22 0:51 / /mnt/share rw,nosuid,nodev - fuse.foliofs localhost:/main rw\n";

TEST(Submounts, AMountAloneHasNone) {
  EXPECT_FALSE(has_submounts_of(kOurs));
  EXPECT_FALSE(
      has_submounts_of(kOurs + std::string("41 22 0:52 / /mnt/other rw - tmpfs tmpfs rw\n")));
  EXPECT_FALSE(has_submounts_of(""));
}

TEST(Submounts, WhatIsMountedOnAFileOfItCounts) {
  EXPECT_TRUE(has_submounts_of(
      kOurs + std::string("41 40 254:1 /x /mnt/share/f rw - ext4 /dev/vda1 rw\n")));
}

TEST(Submounts, AlsoBelowAnotherPlaceWhereItIsBound) {
  const std::string bound = kOurs + std::string("41 22 0:51 /d /srv/d rw - fuse.foliofs x rw\n");
  EXPECT_FALSE(has_submounts_of(bound));
  EXPECT_TRUE(has_submounts_of("42 41 0:53 / /srv/d/e rw - tmpfs tmpfs rw\n" + bound));
}

}  // namespace
}  // namespace foliofs
