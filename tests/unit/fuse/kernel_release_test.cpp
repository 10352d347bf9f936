#include "src/fuse/kernel_release.h"

#include <gtest/gtest.h>

namespace foliofs::fuse {
namespace {

TEST(KernelRelease, SaysWhetherAbsentNamesCanBeExpired) {
  for (const char* release : {"5.10.0-28-amd64", "6.1.0-18-amd64", "6.18.44-fc", "7.1.0", "7.10"}) {
    EXPECT_TRUE(kernel_expires_absent_names(release)) << release;
  }
  for (const char* release : {"6.19.0-rc1", "6.19.12-arch1-1", "7.0.3", "", "6", "6.", "x.y"}) {
    EXPECT_FALSE(kernel_expires_absent_names(release)) << release;
  }
}

TEST(KernelRelease, OfTheRunningKernelIsKnown) {
  EXPECT_NE(running_kernel_release().find('.'), std::string::npos);
}

}  // namespace
}  // namespace foliofs::fuse
