// The command line and the configuration file of foliofsd, and what they reject.
#include "server/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace foliofs::server {
namespace {

using ::testing::HasSubstr;

RefusalOr<Invocation> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "foliofsd");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

std::string refusal(std::vector<const char*> arguments) {
  auto parsed = parse(std::move(arguments));
  return parsed ? "accepted" : parsed.error().text;
}

// A file with `text` that exists as long as this object.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) {
    if (::mkdtemp(dir_.data()) == nullptr) std::abort();
    std::ofstream(path()) << text;
  }
  ~ConfigFile() { std::filesystem::remove_all(dir_); }
  std::string path() const { return dir_ + "/config.toml"; }

 private:
  std::string dir_ = std::filesystem::temp_directory_path() / "foliofs-config-XXXXXX";
};

std::string config_refusal(const std::string& text) {
  ConfigFile file(text);
  Options options;
  auto read = read_config(file.path(), options);
  return read ? "accepted" : read.error().text;
}

TEST(ParseExport, AllWords) {
  auto share = parse_export("data=/srv/data,ro,noleases,squash=all,anonuid=12,anongid=34");
  ASSERT_TRUE(share) << share.error().text;
  EXPECT_EQ(share.value().name, "data");
  EXPECT_EQ(share.value().path, "/srv/data");
  EXPECT_TRUE(share.value().read_only);
  EXPECT_FALSE(share.value().leases);
  EXPECT_EQ(share.value().squash.squash, Squash::kAll);
  EXPECT_EQ(share.value().squash.anon_uid, 12u);
  EXPECT_EQ(share.value().squash.anon_gid, 34u);
}

TEST(ParseExport, RootIsSquashedAndLeasesAreGivenUnlessToldOtherwise) {
  EXPECT_EQ(parse_export("a=/x").value().squash.squash, Squash::kRoot);
  EXPECT_EQ(parse_export("a=/x").value().squash.anon_uid, 65534u);
  EXPECT_EQ(parse_export("a=/x,squash=none").value().squash.squash, Squash::kNone);
  EXPECT_FALSE(parse_export("a=/x").value().read_only);
  EXPECT_TRUE(parse_export("a=/x").value().leases);
  EXPECT_FALSE(parse_export("a=/x").value().sole);
  EXPECT_TRUE(parse_export("a=/x,sole").value().sole);
}

TEST(ParseExport, Refuses) {
  for (const char* bad :
       {"", "a", "a=", "=/x", "a b=/x", "../x=/x", "a=/x,", "a=/x,rw", "a=/x,ro=1", "a=/x,sole=1",
        "a=/x,sole,noleases", "a=/x,noleases=1", "a=/x,leases", "a=/x,squash=some",
        "a=/x,anonuid=-1", "a=/x,anonuid=4294967295", "a=/x,anonuid=1x", "a=/x,anongid="}) {
    EXPECT_FALSE(parse_export(bad)) << bad;
  }
}

TEST(ParseListen, Forms) {
  const auto text = [](std::string_view from) {
    auto parsed = parse_listen(from);
    if (!parsed) return std::string("refused");
    return parsed.value().address().to_string() + " " + std::to_string(parsed.value().port());
  };
  EXPECT_EQ(text("127.0.0.1:80"), "127.0.0.1 80");
  EXPECT_EQ(text("127.0.0.1"), "127.0.0.1 7440");
  EXPECT_EQ(text("localhost:0"), "127.0.0.1 0");
  EXPECT_EQ(text("[::1]:99"), "::1 99");
  EXPECT_EQ(text("::1"), "::1 7440");
  for (const char* bad : {"", ":80", "host:80", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:x", "[::1",
                          "[::1]80", "1.2.3.4:-1"}) {
    EXPECT_EQ(text(bad), "refused") << bad;
  }
}

TEST(CommandLine, Defaults) {
  auto parsed = parse({"--export", "a=/x"});
  ASSERT_TRUE(parsed) << parsed.error().text;
  const Options& options = parsed.value().options;
  EXPECT_EQ(options.listen.port(), 7440);
  EXPECT_TRUE(options.listen.address().is_loopback());
  EXPECT_EQ(options.grace, std::chrono::seconds(90));
  EXPECT_EQ(options.poll, std::chrono::microseconds(200));
}

TEST(CommandLine, EveryOptionArrives) {
  auto parsed =
      parse({"--export", "a=/x", "--export=b=/y,ro", "--listen", "[::1]:1", "--threads", "3",
             "--poll", "7", "--grace", "1.5", "--state-dir", "/s", "--log-level", "debug"});
  ASSERT_TRUE(parsed) << parsed.error().text;
  const Options& options = parsed.value().options;
  ASSERT_EQ(options.exports.size(), 2u);
  EXPECT_TRUE(options.exports[1].read_only);
  EXPECT_EQ(options.listen.port(), 1);
  EXPECT_EQ(options.threads, 3u);
  EXPECT_EQ(options.poll, std::chrono::microseconds(7));
  EXPECT_EQ(options.grace, std::chrono::milliseconds(1500));
  EXPECT_EQ(options.state_dir, "/s");
  EXPECT_EQ(options.log_level, "debug");
}

TEST(CommandLine, HelpAndVersion) {
  EXPECT_THAT(parse({"--version"}).value().text, HasSubstr("foliofsd " FOLIOFS_VERSION));
  EXPECT_THAT(parse({"--help"}).value().text, HasSubstr("--export"));
}

TEST(CommandLine, RefusesInOneLine) {
  EXPECT_THAT(refusal({}), HasSubstr("--export NAME=PATH"));
  EXPECT_THAT(refusal({"--export", "a=/x", "--export", "a=/y"}), HasSubstr("two exports"));
  EXPECT_THAT(refusal({"--export", "a=/x", "--listen", "10.0.0.1:1"}),
              HasSubstr("--allow-plaintext"));
  EXPECT_EQ(refusal({"--export", "a=/x", "--listen", "10.0.0.1:1", "--allow-plaintext"}),
            "accepted");
  EXPECT_THAT(refusal({"--export", "a=/x", "--frob"}), HasSubstr("--frob"));
  EXPECT_THAT(refusal({"--export", "a=/x", "--threads", "0"}), HasSubstr("--threads"));
  EXPECT_THAT(refusal({"--export", "a=/x", "--poll", "-1"}), HasSubstr("--poll"));
  EXPECT_THAT(refusal({"--export", "a=/x", "--grace", "0"}), HasSubstr("grace"));
  EXPECT_THAT(refusal({"--export", "a=/x", "--log-level", "loud"}), HasSubstr("loud"));
  EXPECT_THAT(refusal({"--export", "a=/x", "--listen", ""}), HasSubstr("listen"));
  for (const auto& line :
       {refusal({"--export"}), refusal({"stray"}), refusal({"--threads", "x"})}) {
    EXPECT_EQ(line.find('\n'), line.npos) << line;
    EXPECT_NE(line, "accepted");
  }
}

TEST(Config, AllWords) {
  ConfigFile file(R"(
listen = "127.0.0.1:9"
allow-plaintext = true
threads = 2
poll = 0
grace = 30
state-dir = "/s"
log-level = "warn"
[[export]]
name = "a"
path = "/with,comma"
ro = true
noleases = true
squash = "none"
anonuid = 1
anongid = 2
[[export]]
name = "b"
path = "/b"
)");
  Options options;
  auto read = read_config(file.path(), options);
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(options.listen.port(), 9);
  EXPECT_TRUE(options.allow_plaintext);
  EXPECT_EQ(options.threads, 2u);
  EXPECT_EQ(options.poll.count(), 0);
  EXPECT_EQ(options.grace, std::chrono::seconds(30));
  EXPECT_EQ(options.state_dir, "/s");
  EXPECT_EQ(options.log_level, "warn");
  ASSERT_EQ(options.exports.size(), 2u);
  EXPECT_EQ(options.exports[0].path, "/with,comma");
  EXPECT_TRUE(options.exports[0].read_only);
  EXPECT_FALSE(options.exports[0].leases);
  EXPECT_TRUE(options.exports[1].leases);
  EXPECT_EQ(options.exports[0].squash.squash, Squash::kNone);
  EXPECT_EQ(options.exports[0].squash.anon_uid, 1u);
  EXPECT_EQ(options.exports[0].squash.anon_gid, 2u);
}

TEST(Config, ExportsAsOnTheCommandLine) {
  ConfigFile file("export = [\"a=/a,ro\", \"b=/b\"]\n");
  Options options;
  ASSERT_TRUE(read_config(file.path(), options));
  ASSERT_EQ(options.exports.size(), 2u);
  EXPECT_TRUE(options.exports[0].read_only);
}

TEST(Config, TheCommandLineWinsAndExportsAreAdded) {
  ConfigFile file("listen = \"127.0.0.1:9\"\npoll = 3\nexport = [\"a=/a\"]\n");
  const std::string path = file.path();
  auto parsed = parse({"--config", path.c_str(), "--listen", "127.0.0.1:8", "--export", "b=/b"});
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_EQ(parsed.value().options.listen.port(), 8);
  EXPECT_EQ(parsed.value().options.poll.count(), 3);
  EXPECT_EQ(parsed.value().options.exports.size(), 2u);
}

TEST(Config, Refuses) {
  EXPECT_THAT(config_refusal("lisen = \"x\"\n"), HasSubstr("lisen"));
  EXPECT_THAT(config_refusal("lisen = \"x\"\n"), HasSubstr("there are listen, "));
  EXPECT_THAT(config_refusal("[[export]]\nrw = true\n"), HasSubstr("there are name, path, ro"));
  EXPECT_THAT(config_refusal("poll = 1\nthreads = 0\n"), HasSubstr(".toml:2: threads"));
  EXPECT_THAT(config_refusal("poll = 1\n\nlog-level = \n"), HasSubstr(".toml:3: "));
  EXPECT_THAT(config_refusal("listen = 7\n"), HasSubstr("listen"));
  EXPECT_THAT(config_refusal("threads = \"two\"\n"), HasSubstr("threads"));
  EXPECT_THAT(config_refusal("poll = -1\n"), HasSubstr("poll"));
  EXPECT_THAT(config_refusal("allow-plaintext = 1\n"), HasSubstr("allow-plaintext"));
  EXPECT_THAT(
      config_refusal("[[export]]\nname = \"a\"\npath = \"/a\"\nnoleases = true\nsole = true\n"),
      HasSubstr("sole"));
  EXPECT_THAT(config_refusal("[[export]]\nname = \"a\"\npath = \"/a\"\nnoleases = 0\n"),
              HasSubstr("noleases is true or false"));
  EXPECT_THAT(config_refusal("log-level = \"loud\"\n"), HasSubstr("loud"));
  EXPECT_THAT(config_refusal("[[export]]\nname = \"a\"\n"), HasSubstr("path"));
  EXPECT_THAT(config_refusal("[[export]]\npath = \"/a\"\n"), HasSubstr("name"));
  EXPECT_THAT(config_refusal("[[export]]\nname = \"a\"\npath = \"/a\"\nrw = true\n"),
              HasSubstr("rw"));
  EXPECT_THAT(config_refusal("export = \"a=/a\"\n"), HasSubstr("list"));
  const std::string broken = config_refusal("= = =\n");
  EXPECT_NE(broken, "accepted");
  EXPECT_EQ(broken.find('\n'), broken.npos);
}

}  // namespace
}  // namespace foliofs::server
