#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "foliofs/vfs/mount_options.h"

namespace foliofs::vfs {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kMiB = 1 << 20;

// The text of the error; empty if there is none.
std::string set(MountOptions& options, std::string_view key, std::string_view value = "") {
  const auto result = set_option(options, key, value);
  return result ? "" : result.error().text;
}

std::string finish(MountOptions& options) {
  const auto result = finish_options(options);
  return result ? "" : result.error().text;
}

std::string set_live(MountOptions& options, std::vector<OptionPair> pairs) {
  const auto result = set_live_options(options, pairs);
  return result ? "" : result.error().text;
}

struct Word {
  const char* key;
  const char* value;
};

void PrintTo(const Word& word, std::ostream* out) {
  *out << word.key << '=' << word.value;
}

class BadOption : public testing::TestWithParam<Word> {};

TEST_P(BadOption, IsRefusedAndChangesNothing) {
  MountOptions options;
  EXPECT_THAT(set(options, GetParam().key, GetParam().value), HasSubstr(GetParam().key));
  EXPECT_EQ(describe_options(options), describe_options(MountOptions()));
  EXPECT_FALSE(options.allow_other);
  EXPECT_THAT(options.fuse_options, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Flags, BadOption,
                         testing::Values(Word{"allow_other", "no"}, Word{"ro", "false"},
                                         Word{"rw", "0"}, Word{"soft", "banana"}, Word{"hard", "1"},
                                         Word{"nosuid", "yes"}, Word{"noatime", "off"},
                                         Word{"auto_unmount", "x"}, Word{"fsname", ""}));
INSTANTIATE_TEST_SUITE_P(Ports, BadOption,
                         testing::Values(Word{"port", "7440.5"}, Word{"port", "7e3"},
                                         Word{"port", "nan"}, Word{"port", "0"},
                                         Word{"port", "65536"}, Word{"port", "-1"},
                                         Word{"port", ""}, Word{"port", "7440x"},
                                         Word{"port", " 7440"}, Word{"port", "+7440"}));
INSTANTIATE_TEST_SUITE_P(
    Numbers, BadOption,
    testing::Values(Word{"cache_size", "nan"}, Word{"cache_size", "inf"},
                    Word{"cache_size", "1e3m"}, Word{"cache_size", "-64m"},
                    Word{"cache_size", "64x"}, Word{"cache_size", ""}, Word{"cache_size", "m"},
                    Word{"cache_size", "1k"}, Word{"readahead", "nan"}, Word{"actimeo", "nan"},
                    Word{"actimeo", "inf"}, Word{"actimeo", "-0"}, Word{"timeo", "infinity"},
                    Word{"timeo", "1e1"}, Word{"dirty_expire", "2d"}, Word{"poll", "NaN"},
                    Word{"poll", "1s"}, Word{"folio_size", "5000"}, Word{"folio_size", "nan"}));
INSTANTIATE_TEST_SUITE_P(Words, BadOption,
                         testing::Values(Word{"nonsense", ""}, Word{"blkdev", ""},
                                         Word{"kernel_cache", "yes"}, Word{"log_level", "loud"},
                                         Word{"coherence", "strict"},
                                         Word{"invalidate", "gently"}));

TEST(MountOptions, BoundsAreSaidInTheirUnit) {
  MountOptions options;
  EXPECT_EQ(set(options, "poll", "20ms"),
            "poll=20ms: expected a time up to 10 ms, such as poll=1ms");
}

TEST(MountOptions, TakeUnits) {
  MountOptions options;
  EXPECT_EQ(set(options, "cache_size", "0.5g"), "");
  EXPECT_EQ(options.cache.cache_size, 512 * kMiB);
  EXPECT_EQ(set(options, "actimeo", "100ms"), "");
  EXPECT_EQ(options.actimeo_us, 100ms);
  EXPECT_EQ(set(options, "timeo", "2m"), "");
  EXPECT_EQ(options.timeo_us, 2min);
  EXPECT_EQ(set(options, "poll", "0"), "");
  EXPECT_EQ(options.poll_us, 0us);
}

TEST(MountOptions, OnlyWhatLibfuseKnowsIsPassedOn) {
  MountOptions options;
  for (const char* word :
       {"relatime", "norelatime", "strictatime", "diratime", "nodiratime", "atime", "defaults",
        "_netdev", "x-systemd.automount", "rw", "max_read"}) {
    EXPECT_EQ(set(options, word), "") << word;
  }
  EXPECT_THAT(options.fuse_options, IsEmpty());
  EXPECT_EQ(set(options, "nosuid"), "");
  EXPECT_EQ(set(options, "noatime"), "");
  EXPECT_EQ(set(options, "fsname", "a=b"), "");
  EXPECT_THAT(options.fuse_options, ElementsAre("nosuid", "noatime", "fsname=a=b"));
}

// SEMANTICS: sizes-as-asked
TEST(MountOptions, SizesFollowTheCacheBothWays) {
  MountOptions options;
  ASSERT_EQ(finish(options), "");
  const auto before = describe_options(options);
  ASSERT_EQ(set_live(options, {{"cache_size", "16m"}}), "");
  EXPECT_EQ(options.cache.dirty_limit, 8 * kMiB);
  EXPECT_EQ(options.cache.dirty_background, 4 * kMiB);
  EXPECT_EQ(options.cache.readahead, 2 * kMiB);
  ASSERT_EQ(set_live(options, {{"cache_size", "256m"}}), "");
  EXPECT_EQ(describe_options(options), before);
}

// SEMANTICS: sizes-as-asked
TEST(MountOptions, AnAskedSizeIsNeverCutSilently) {
  MountOptions options;
  ASSERT_EQ(set(options, "cache_size", "64m"), "");
  ASSERT_EQ(set(options, "dirty_limit", "96m"), "");  // the same as the default
  EXPECT_THAT(finish(options), HasSubstr("dirty_limit"));
  options = {};
  ASSERT_EQ(set(options, "cache_size", "16m"), "");
  ASSERT_EQ(set(options, "readahead", "8m"), "");
  EXPECT_THAT(finish(options), HasSubstr("readahead"));
  options = {};
  ASSERT_EQ(set(options, "dirty_background", "97m"), "");
  EXPECT_THAT(finish(options), HasSubstr("dirty_background"));
}

// SEMANTICS: set-all-or-nothing
TEST(MountOptions, ALiveChangeIsAllOrNothing) {
  MountOptions options;
  ASSERT_EQ(finish(options), "");
  const auto before = describe_options(options);
  EXPECT_THAT(set_live(options, {{"invalidate", "bulk"}, {"cache_size", "64m"}, {"nonsense", ""}}),
              HasSubstr("nonsense"));
  EXPECT_EQ(describe_options(options), before);
  // Each alone is valid, but together they are not.
  EXPECT_THAT(
      set_live(options, {{"invalidate", "bulk"}, {"cache_size", "64m"}, {"dirty_limit", "60m"}}),
      HasSubstr("dirty_limit"));
  EXPECT_EQ(describe_options(options), before);
  // In this order, the first value is too large until the second one is set.
  EXPECT_EQ(set_live(options, {{"dirty_limit", "300m"}, {"cache_size", "1g"}}), "");
  EXPECT_EQ(options.cache.dirty_limit, 300 * kMiB);
}

TEST(MountOptions, WhatALiveMountCanChange) {
  MountOptions options;
  ASSERT_EQ(finish(options), "");
  EXPECT_EQ(set_live(options, {{"timeo", "5"},
                               {"hard", ""},
                               {"poll", "0"},
                               {"log_level", "debug"},
                               {"kernel_cache", "off"},
                               {"actimeo", "0"},
                               {"dirty_expire", "2m"},
                               {"invalidate", "launder"}}),
            "");
  EXPECT_EQ(options.timeo_us, 5s);
  EXPECT_TRUE(options.hard);
  EXPECT_EQ(options.log_level, "debug");
  EXPECT_FALSE(options.kernel_cache);
  EXPECT_EQ(options.cache.dirty_expire, 2min);
  for (const char* fixed : {"folio_size", "port", "coherence", "ro", "rw", "allow_other", "nosuid",
                            "fsname", "log_file"}) {
    EXPECT_THAT(set_live(options, {{fixed, "64k"}}), HasSubstr("fixed while")) << fixed;
  }
  EXPECT_THAT(set_live(options, {{"relatime", ""}}), HasSubstr("unknown"));
  EXPECT_THAT(set_live(options, {{"hard", "no"}}), HasSubstr("no value"));
}

TEST(ServerAddress, OfIpv6StandsInBrackets) {
  MountOptions options;
  options.port = 1;
  EXPECT_EQ(server_address(options), "127.0.0.1:1");
  options.host = "::1";
  EXPECT_EQ(server_address(options), "[::1]:1");
}

}  // namespace
}  // namespace foliofs::vfs
