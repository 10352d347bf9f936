#include "foliofs/control/locate_path.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace foliofs::control {
namespace {

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

// If locate_path() looked into the mount, it would follow the link below the mount point.
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
