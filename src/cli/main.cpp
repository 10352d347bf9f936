// foliofs: the command line. Called as mount.fuse.foliofs it is the helper of mount(8).
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "control_commands.h"
#include "mount_command.h"
#include "remount.h"
#include "text.h"
#include "umount_command.h"

namespace foliofs::cli {
namespace {

constexpr const char* kAbout =
    "Mounts a share of foliofsd with a cache of its own that can be invalidated in three ways.";

constexpr const char* kMountOptions = R"(Options of -o, with their defaults:
  port=7440                TCP port of the server
  invalidate=hybrid        launder, bulk or hybrid *
  coherence=lease          lease: the server announces changes; cto: the client asks
  actimeo=1                seconds to believe attributes that no lease covers *
  cache_size=256m          memory for cached data *
  folio_size=64k           unit of caching, a power of two from 4k to 1m
  dirty_background=16m     dirty bytes at which background writeback starts *
  dirty_limit=96m          dirty bytes at which writers wait *
  dirty_expire=5           seconds until dirty bytes are written even if few *
  readahead=16m            how far to read ahead of a sequential reader; 0: never *
  kernel_cache=on          whether the kernel may cache too: on or off *
  poll=200                 microseconds to poll before the daemon sleeps *
  timeo=60                 seconds that a call waits for an absent server (soft) *
  soft, hard               give up after timeo, or never; soft *
  ro, rw                   rw
  allow_other              other users may use the mount
  log_level=info           trace, debug, info, warn, error or off *
  log_file=PATH            log there; see foliofs(1) for where else
and those of fuse(8) and mount(8). `foliofs set` changes those with * on a live mount.)";

constexpr const char* kLiveOptions =
    R"(A live mount can change invalidate, actimeo, cache_size, dirty_background, dirty_limit,
dirty_expire, readahead, kernel_cache (for files that are opened afterwards), poll, timeo, soft, hard and log_level;
foliofs mount --help says what they are. Several settings are made together: all or none.)";

// The exit statuses of mount(8).
constexpr int kWrongInvocation = 1;
constexpr int kMountFailed = 32;

struct Words {
  MountWords mount;
  UmountWords umount;
  std::string set_mount_point;
  std::vector<std::string> settings;
  InvalidateWords invalidate;
  std::string stats_mount_point;
  bool stats_json = false;
  std::string type;  // mount(8) -t: the type that we were called for
  std::string namespace_path;
};

int mount_or_remount(const MountWords& words) {
  return asks_for_remount(words) ? run_remount(words) : run_mount(words);
}

void add_mount(CLI::App& app, Words& words, int& status) {
  auto* mount = app.add_subcommand("mount", "Mount HOST:/NAME on a directory");
  mount->add_option("share", words.mount.positional, "HOST:/NAME MOUNTPOINT")
      ->required()
      ->expected(1, 2);
  mount->add_option("-o,--options", words.mount.options, "Options, separated by commas")
      ->allow_extra_args(false);
  mount->add_flag("-f,--foreground", words.mount.foreground,
                  "Stay in the foreground and log to stderr");
  mount->footer(kMountOptions);
  mount->callback([&] { status = mount_or_remount(words.mount); });
}

void add_umount(CLI::App& app, Words& words, int& status) {
  auto* umount = app.add_subcommand("umount", "Write what is dirty, then unmount");
  umount->add_option("mountpoint", words.umount.mount_point)->required();
  auto* force = umount->add_flag("-f,--force", words.umount.force,
                                 "Always unmount within seconds, and say what was lost");
  umount
      ->add_flag("-l,--lazy", words.umount.lazy,
                 "Unmount now; the mount ends when nobody uses it any more")
      ->excludes(force);
  umount->callback([&] { status = run_umount(words.umount); });
}

void add_set(CLI::App& app, Words& words, int& status) {
  auto* set = app.add_subcommand("set", "Change options of a live mount");
  set->add_option("mountpoint", words.set_mount_point)->required();
  set->add_option("setting", words.settings,
                  "KEY=VALUE, for example invalidate=bulk; or soft or hard")
      ->required()
      ->expected(1, 64);
  set->footer(kLiveOptions);
  set->callback([&] { status = run_set(words.set_mount_point, words.settings); });
}

void add_invalidate(CLI::App& app, Words& words, int& status) {
  auto* invalidate = app.add_subcommand("invalidate", "Invalidate the cache of a file");
  invalidate->add_option("path", words.invalidate.path, "A file on a mount")->required();
  invalidate->add_option("--mode", words.invalidate.mode,
                         "launder, bulk or hybrid; the mount's own if not given");
  invalidate->add_flag("--no-flush", words.invalidate.no_flush,
                       "Write nothing: keep what is dirty, drop the rest");
  invalidate->add_flag("--json", words.invalidate.json, "Print JSON");
  invalidate->callback([&] { status = run_invalidate(words.invalidate); });
}

void add_stats(CLI::App& app, Words& words, int& status) {
  auto* stats = app.add_subcommand("stats", "Show what a mount has cached, counted and measured");
  stats->add_option("mountpoint", words.stats_mount_point)->required();
  stats->add_flag("--json", words.stats_json, "Print JSON");
  stats->callback([&] { status = run_stats(words.stats_mount_point, words.stats_json); });
}

// "foliofs mount: text; see foliofs mount --help"
int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help and --version
  const auto used = app.get_subcommands();
  const std::string command = used.empty() ? "" : used.front()->get_name();
  fail(command, std::string(error.what()) + "; see foliofs " + command +
                    (command.empty() ? "--help" : " --help"));
  return 2;
}

int run_foliofs(std::vector<std::string> arguments) {
  Words words;
  int status = 0;
  CLI::App app(kAbout, "foliofs");
  app.set_version_flag("--version", "foliofs " FOLIOFS_VERSION);
  app.require_subcommand(1);
  add_mount(app, words, status);
  add_umount(app, words, status);
  add_set(app, words, status);
  add_invalidate(app, words, status);
  add_stats(app, words, status);
  app.add_subcommand("mounts", "List the foliofs mounts")->callback([&] { status = run_mounts(); });
  // CLI11 wants the arguments in reverse order.
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error);
  }
  return status;
}

// mount.fuse.foliofs SOURCE MOUNTPOINT [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE], mount(8).
// Returns mount(8)'s exit status.
int run_mount_helper(std::vector<std::string> arguments) {
  Words words;
  bool no_mtab = false;
  CLI::App app(kAbout, "mount.fuse.foliofs");
  app.set_version_flag("--version", "mount.fuse.foliofs " FOLIOFS_VERSION);
  app.add_option("share", words.mount.positional, "HOST:/NAME MOUNTPOINT")
      ->required()
      ->expected(1, 2);
  app.add_option("-o", words.mount.options, "Options, separated by commas")
      ->allow_extra_args(false);
  app.add_option("-t", words.type, "fuse.foliofs");
  app.add_option("-N", words.namespace_path, "Not supported");
  app.add_flag("-s", words.mount.sloppy, "Leave out options that are refused");
  app.add_flag("-f", words.mount.fake, "Check everything, but do not mount");
  app.add_flag("-n", no_mtab, "Accepted: no mtab is ever written");
  app.add_flag("-v", words.mount.verbose, "Say what was mounted");
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error) == 0 ? 0 : kWrongInvocation;
  }
  if (!words.namespace_path.empty()) {
    fail("mount", "-N is not supported; run mount inside the namespace with nsenter");
    return kWrongInvocation;
  }
  if (!words.type.empty() && words.type != "fuse.foliofs" && words.type != "fuse") {
    fail("mount", "type " + words.type + " is not foliofs; use -t fuse.foliofs");
    return kWrongInvocation;
  }
  return mount_or_remount(words.mount) == 0 ? 0 : kMountFailed;
}

// True for `foliofs HOST:/NAME MOUNTPOINT -o …`, as mount.fuse calls the program that the type
// names, and for `foliofs -ofsname=HOST:/NAME MOUNTPOINT …`, as scripts call it that replace
// mount.fuse.
bool is_bare_mount(const std::vector<std::string>& arguments) {
  return !arguments.empty() && (arguments[0].find(":/") != std::string::npos ||
                                std::string_view(arguments[0]).starts_with("-o"));
}

int run(int argc, char** argv) {
  const std::string_view called = argc > 0 ? argv[0] : "foliofs";
  const std::string_view name = called.substr(called.rfind('/') + 1);
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (name.starts_with("mount.")) return run_mount_helper(std::move(arguments));
  if (is_bare_mount(arguments)) arguments.insert(arguments.begin(), "mount");
  return run_foliofs(std::move(arguments));
}

}  // namespace
}  // namespace foliofs::cli

int main(int argc, char** argv) {
  try {
    return foliofs::cli::run(argc, argv);
  } catch (const std::exception& error) {
    return foliofs::cli::fail("", error.what());
  }
}
