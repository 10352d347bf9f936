// What only the release of the kernel tells of its FUSE.
#pragma once

#include <string>
#include <string_view>

namespace foliofs::fuse {

// As `uname -r` prints it; empty where that cannot be had.
std::string running_kernel_release();

// Whether a notification about a name reaches it when the kernel was told that there is none. From
// Linux 6.19 on it looks for existing files alone (fuse_reverse_inval_entry() by way of
// start_removing_noperm()), until "fuse: do not use start_removing_noperm()" of 7.1.
bool kernel_expires_absent_names(std::string_view release);

}  // namespace foliofs::fuse
