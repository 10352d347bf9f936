// Parses and checks the arguments of a mount, from the command line or from mount(8). Mounts
// nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "foliofs/base/refusal.h"
#include "foliofs/vfs/mount_options.h"

namespace foliofs::cli {

struct MountWords {
  std::vector<std::string> positional;  // [SOURCE] MOUNT_POINT
  std::vector<std::string> options;     // one for each -o, comma-separated
  bool foreground = false;
  bool fake = false;     // mount(8) -f: check everything, mount nothing
  bool sloppy = false;   // mount(8) -s: an option that is refused is reported and left out
  bool verbose = false;  // mount(8) -v
};

struct MountRequest {
  vfs::MountOptions options;
  std::string source;       // HOST:/NAME as it was written
  std::string mount_point;  // absolute, without symlinks
  std::string log_file;     // absolute; empty: the default of the daemon
  bool foreground = false;
};

// HOST:/NAME, with HOST a name, an IPv4 address or an IPv6 address in brackets.
RefusalOr<void> parse_source(std::string_view source, vfs::MountOptions& options);

// Checks the mount point with stat(): it must be a directory, and nothing but an automounter may be
// mounted on it.
RefusalOr<MountRequest> make_mount_request(const MountWords& words);

}  // namespace foliofs::cli
