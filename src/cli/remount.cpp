#include "remount.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <map>

#include "find_mount.h"
#include "foliofs/control/client.h"
#include "foliofs/control/requests.h"
#include "option_list.h"
#include "text.h"

namespace foliofs::cli {
namespace {

using OptionMap = std::map<std::string, std::string>;

struct KernelFlag {
  std::string_view name;
  unsigned long set;
  unsigned long clear;
};

constexpr std::array kKernelFlags{
    KernelFlag{"ro", MS_RDONLY, 0},
    KernelFlag{"rw", 0, MS_RDONLY},
    KernelFlag{"nosuid", MS_NOSUID, 0},
    KernelFlag{"suid", 0, MS_NOSUID},
    KernelFlag{"nodev", MS_NODEV, 0},
    KernelFlag{"dev", 0, MS_NODEV},
    KernelFlag{"noexec", MS_NOEXEC, 0},
    KernelFlag{"exec", 0, MS_NOEXEC},
    KernelFlag{"noatime", MS_NOATIME, MS_RELATIME | MS_STRICTATIME},
    KernelFlag{"atime", 0, MS_NOATIME},
    KernelFlag{"relatime", MS_RELATIME, MS_NOATIME | MS_STRICTATIME},
    KernelFlag{"nodiratime", MS_NODIRATIME, 0},
    KernelFlag{"diratime", 0, MS_NODIRATIME},
    KernelFlag{"sync", MS_SYNCHRONOUS, 0},
    KernelFlag{"async", 0, MS_SYNCHRONOUS},
    KernelFlag{"dirsync", MS_DIRSYNC, 0},
};

// Options that a remount ignores: those that the kernel lists for every FUSE mount, which mount(8)
// repeats to us; `remount` itself; and log_file, which fstab may contain but only a new mount uses.
constexpr std::array<std::string_view, 7> kRepeated{"user_id", "group_id", "rootmode", "max_read",
                                                    "fd",      "remount",  "log_file"};

bool apply_flag(std::string_view name, unsigned long& flags) {
  const auto flag = std::find_if(kKernelFlags.begin(), kKernelFlags.end(),
                                 [name](const KernelFlag& known) { return known.name == name; });
  if (flag == kKernelFlags.end()) return false;
  flags = (flags & ~flag->clear) | flag->set;
  return true;
}

// The daemon's current options.
RefusalOr<OptionMap> current_options(const MountEntry& mount) {
  BOOST_OUTCOME_TRY(const auto stats, control::ask_daemon(mount, control::make_request("stats")));
  OptionMap current;
  if (const auto options = stats.find("options"); options != stats.end()) {
    for (const auto& [key, value] : options->items()) {
      current[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  }
  return current;
}

// The key that describe_options() uses for `option`.
std::string described_key(const vfs::OptionPair& option) {
  return option.first == "soft" || option.first == "hard" ? "retry" : option.first;
}

// The options in `words` that are foliofs' own and differ from the daemon's.
RefusalOr<std::vector<vfs::OptionPair>> changed_options(const std::vector<vfs::OptionPair>& words,
                                                        const OptionMap& current) {
  std::vector<vfs::OptionPair> changed;
  for (const vfs::OptionPair& option : words) {
    vfs::MountOptions alone;
    BOOST_OUTCOME_TRY(vfs::set_option(alone, option.first, option.second));
    const std::string key = described_key(option);
    const auto described = vfs::describe_options(alone);
    const auto known = std::find_if(described.begin(), described.end(),
                                    [&key](const auto& pair) { return pair.first == key; });
    if (known == described.end()) continue;  // an option of mount(8) or libfuse
    const auto now = current.find(key);
    if (now == current.end() || now->second != known->second) changed.push_back(option);
  }
  return changed;
}

RefusalOr<void> remount(const MountWords& words) {
  BOOST_OUTCOME_TRY(const auto mount, find_mount(words.positional.back()));
  unsigned long before = 0;
  for (const std::string& option : mount.options) apply_flag(option, before);
  unsigned long after = before;
  std::vector<vfs::OptionPair> own;
  for (const vfs::OptionPair& option : split_options(words.options)) {
    const bool repeated =
        std::find(kRepeated.begin(), kRepeated.end(), option.first) != kRepeated.end();
    if (!repeated && !apply_flag(option.first, after)) own.push_back(option);
  }
  BOOST_OUTCOME_TRY(const auto current, current_options(mount));
  const auto access = current.find("access");
  if ((after & MS_RDONLY) == 0 && access != current.end() && access->second == "ro") {
    return Refusal{mount.mount_point +
                   " was mounted with ro; unmount it and mount it again to write"};
  }
  BOOST_OUTCOME_TRY(const auto changed, changed_options(own, current));
  if (!changed.empty()) {
    BOOST_OUTCOME_TRY(control::ask_daemon(mount, control::set_request(changed)));
  }
  if (after != before &&
      ::mount(nullptr, mount.mount_point.c_str(), nullptr, MS_REMOUNT | after, nullptr) != 0) {
    return Refusal{"the kernel refuses to remount " + mount.mount_point + ": " +
                   errno_text(last_errno())};
  }
  return success();
}

}  // namespace

bool asks_for_remount(const MountWords& words) {
  const auto options = split_options(words.options);
  return !words.positional.empty() &&
         std::any_of(options.begin(), options.end(),
                     [](const vfs::OptionPair& option) { return option.first == "remount"; });
}

int run_remount(const MountWords& words) {
  const auto done = remount(words);
  return done ? 0 : fail("mount", done.error().text);
}

}  // namespace foliofs::cli
