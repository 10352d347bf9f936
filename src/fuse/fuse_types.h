// Converts what vfs::Operations returns to libfuse's types.
#pragma once

#include <fuse_lowlevel.h>
#include <sys/stat.h>

#include <chrono>

#include "foliofs/vfs/operations.h"

namespace foliofs::fuse {

struct stat to_stat(const vfs::Attributes& attributes);
double to_seconds(std::chrono::microseconds timeout_us);
fuse_entry_param to_entry(const vfs::Entry& entry);
// Sets the members of `info` that answer an open. `info.fh` then points to the open file.
void describe_open(const vfs::OpenedFile& opened, fuse_file_info& info);

}  // namespace foliofs::fuse
