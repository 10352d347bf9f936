#include "mount_request.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "foliofs/control/locate_path.h"
#include "option_list.h"
#include "text.h"

namespace foliofs::cli {
namespace {

constexpr std::string_view kLogFile = "log_file";
constexpr std::string_view kSource = "fsname";

RefusalOr<void> check_mount_point(const MountTable& table, const std::string& path) {
  if (const MountEntry* entry = find_mount_point(table, path);
      entry != nullptr && entry->type != "autofs") {
    return Refusal{entry->source + " is already mounted on " + path + "; " +
                   (entry->is_foliofs() ? "foliofs umount " : "umount ") + path + " takes it away"};
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const Errno error = last_errno();
    if (error == Errno(ENOENT)) {
      return Refusal{"mount point " + path + " does not exist; make the directory first"};
    }
    return Refusal{"mount point " + path + " cannot be used: " + errno_text(error)};
  }
  if (!S_ISDIR(status.st_mode)) {
    return Refusal{"mount point " + path + " is not a directory; mount on a directory"};
  }
  return success();
}

RefusalOr<void> apply_option(MountRequest& request, const vfs::OptionPair& option) {
  const auto& [key, value] = option;
  if (key == kLogFile) {
    if (value.empty()) return Refusal{"log_file needs the name of a file: log_file=PATH"};
    request.log_file = std::filesystem::absolute(value);
    return success();
  }
  return vfs::set_option(request.options, key, value);
}

// The source comes first; wrappers of mount(8) may give it as -ofsname=SOURCE instead.
RefusalOr<std::string> find_source(const MountWords& words,
                                   const std::vector<vfs::OptionPair>& options) {
  if (words.positional.size() == 2) return words.positional[0];
  const auto named =
      std::find_if(options.begin(), options.end(),
                   [](const vfs::OptionPair& option) { return option.first == kSource; });
  if (words.positional.size() == 1 && named != options.end()) return named->second;
  return Refusal{"what to mount and where is missing: foliofs mount HOST:/NAME MOUNTPOINT"};
}

}  // namespace

RefusalOr<void> parse_source(std::string_view source, vfs::MountOptions& options) {
  const std::size_t separator = source.find(":/");
  const std::string_view name =
      separator == std::string_view::npos ? "" : source.substr(separator + 2);
  if (separator == std::string_view::npos || separator == 0 || name.empty()) {
    return Refusal{"\"" + std::string(source) + "\" is no share; write it as HOST:/NAME"};
  }
  std::string_view host = source.substr(0, separator);
  if (host.starts_with('[') && host.ends_with(']') && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]") != std::string_view::npos) {
    return Refusal{"\"" + std::string(host) +
                   "\" is no host; write an IPv6 address in brackets and the port as -o port=N"};
  }
  options.host = host;
  options.export_name = name;
  return success();
}

RefusalOr<MountRequest> make_mount_request(const MountWords& words) {
  const std::vector<vfs::OptionPair> options = split_options(words.options);
  MountRequest request;
  request.foreground = words.foreground;
  BOOST_OUTCOME_TRY(request.source, find_source(words, options));
  BOOST_OUTCOME_TRY(parse_source(request.source, request.options));
  for (const vfs::OptionPair& option : options) {
    const auto set = apply_option(request, option);
    if (set) continue;
    if (!words.sloppy) return set.error();
    fail("mount", set.error().text + " (left out)");
  }
  BOOST_OUTCOME_TRY(vfs::finish_options(request.options));
  const auto table = read_mount_table();
  if (!table) return Refusal{"cannot read the mounts: " + errno_text(table.error())};
  const std::string& place = words.positional.back();
  const auto located = control::locate_path(table.value(), place);
  if (!located) return Refusal{"mount point " + place + ": " + errno_text(located.error())};
  request.mount_point = located.value();
  BOOST_OUTCOME_TRY(check_mount_point(table.value(), request.mount_point));
  return request;
}

}  // namespace foliofs::cli
