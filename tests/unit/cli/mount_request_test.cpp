#include "src/cli/mount_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "src/cli/option_list.h"

namespace foliofs::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(SplitOptions, takes_lists_apart) {
  EXPECT_THAT(split_options({"ro,port=1", "fsname=a=b"}),
              ElementsAre(Pair("ro", ""), Pair("port", "1"), Pair("fsname", "a=b")));
  EXPECT_THAT(split_options({",,", ""}), ElementsAre());
  EXPECT_THAT(split_options({R"(fsname=a\,b,x=\\)"}),
              ElementsAre(Pair("fsname", "a,b"), Pair("x", "\\")));
}

struct SourceCase {
  const char* source;
  const char* host;
  const char* name;
};

class GoodSource : public testing::TestWithParam<SourceCase> {};

TEST_P(GoodSource, is_taken_apart) {
  vfs::MountOptions options;
  ASSERT_TRUE(parse_source(GetParam().source, options));
  EXPECT_EQ(options.host, GetParam().host);
  EXPECT_EQ(options.export_name, GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(Sources, GoodSource,
                         testing::Values(SourceCase{"host:/share", "host", "share"},
                                         SourceCase{"10.0.0.1:/s", "10.0.0.1", "s"},
                                         SourceCase{"[::1]:/s", "::1", "s"},
                                         SourceCase{"host:/a/b", "host", "a/b"}));

class BadSource : public testing::TestWithParam<const char*> {};

TEST_P(BadSource, is_refused) {
  vfs::MountOptions options;
  EXPECT_FALSE(parse_source(GetParam(), options)) << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Sources, BadSource,
                         testing::Values("", "host", "host:share", "host:/", ":/share",
                                         "::1:/share", "[::1:/share", "[]:/share",
                                         "host:7440:/share"));

class MakeMountRequest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/foliofs-request.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    dir_ = std::filesystem::canonical(pattern);
    words_.positional = {"host:/share", dir_};
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string refusal() {
    const auto request = make_mount_request(words_);
    return request ? "" : request.error().text;
  }

  std::string dir_;
  MountWords words_;
};

TEST_F(MakeMountRequest, has_all_that_was_said) {
  words_.options = {"port=7,invalidate=bulk", "log_file=/var/log/x"};
  words_.foreground = true;
  const auto request = make_mount_request(words_);
  ASSERT_TRUE(request) << request.error().text;
  EXPECT_EQ(request.value().source, "host:/share");
  EXPECT_EQ(request.value().mount_point, dir_);
  EXPECT_EQ(request.value().options.port, 7);
  EXPECT_EQ(request.value().options.invalidate, cache::InvalidateMode::kBulk);
  EXPECT_EQ(request.value().log_file, "/var/log/x");
  EXPECT_TRUE(request.value().foreground);
}

TEST_F(MakeMountRequest, takes_the_source_from_fsname_when_there_is_no_other) {
  words_.positional = {dir_};
  EXPECT_THAT(refusal(), HasSubstr("HOST:/NAME"));
  words_.options = {"fsname=host:/other"};
  const auto request = make_mount_request(words_);
  ASSERT_TRUE(request) << request.error().text;
  EXPECT_EQ(request.value().options.export_name, "other");
}

TEST_F(MakeMountRequest, refuses_a_place_that_is_no_directory) {
  words_.positional[1] = dir_ + "/none";
  EXPECT_THAT(refusal(), HasSubstr("does not exist"));
  std::ofstream(dir_ + "/file") << "x";
  words_.positional[1] = dir_ + "/file";
  EXPECT_THAT(refusal(), HasSubstr("is not a directory"));
}

TEST_F(MakeMountRequest, refuses_words_that_mean_nothing_unless_told_to_be_sloppy) {
  words_.options = {"no_such_option=1"};
  EXPECT_THAT(refusal(), HasSubstr("no_such_option"));
  words_.sloppy = true;
  EXPECT_EQ(refusal(), "");
}

}  // namespace
}  // namespace foliofs::cli
