#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "foliofs/control/mount_table.h"

namespace foliofs::control {
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

class LocatePath : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/foliofs-locate.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    dir_ = std::filesystem::canonical(pattern);
    std::filesystem::create_directories(dir_ / "real" / "sub");
    std::filesystem::create_directory_symlink("real", dir_ / "link");
    std::filesystem::create_directory_symlink(dir_ / "real", dir_ / "absolute");
    std::filesystem::create_directory_symlink("loop", dir_ / "loop");
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string locate(const std::filesystem::path& path, const MountTable& table = {}) {
    const auto located = locate_path(table, path.string());
    return located ? located.value() : errno_name(located.error());
  }

  std::filesystem::path dir_;
};

TEST_F(LocatePath, resolves_links_and_dots) {
  EXPECT_EQ(locate(dir_ / "link" / "." / "sub"), dir_ / "real/sub");
  EXPECT_EQ(locate(dir_ / "absolute//sub/"), dir_ / "real/sub");
  EXPECT_EQ(locate(dir_ / "link/sub/../.."), dir_);
  EXPECT_EQ(locate(dir_ / "none/such"), dir_ / "none/such");
  EXPECT_EQ(locate("/../.."), "/");
}

TEST_F(LocatePath, a_loop_of_links_ends) {
  EXPECT_EQ(locate(dir_ / "loop" / "x"), "ELOOP");
}

TEST_F(LocatePath, is_relative_to_the_working_directory) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir_);
  EXPECT_EQ(locate("link/sub"), dir_ / "real/sub");
  std::filesystem::current_path(before);
}

// Were the mount looked at, the link below its mount point would be followed.
TEST_F(LocatePath, looks_at_nothing_on_a_foliofs_mount) {
  MountEntry mount;
  mount.type = "fuse.foliofs";
  mount.mount_point = dir_ / "real";
  std::filesystem::create_directory_symlink("/", dir_ / "real" / "out");
  EXPECT_EQ(locate(dir_ / "link" / "out" / "x", {mount}), dir_ / "real/out/x");
  EXPECT_EQ(locate(dir_ / "link" / "out" / ".." / "y", {mount}), dir_ / "real/y");
  EXPECT_EQ(locate(dir_ / "link" / "out" / "x"), "/x");
}

}  // namespace
}  // namespace foliofs::control
