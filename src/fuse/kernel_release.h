// Facts about the kernel's FUSE that only the kernel's release tells.
#pragma once

#include <string>
#include <string_view>

namespace foliofs::fuse {

// As `uname -r` prints it; empty if uname(2) fails.
std::string running_kernel_release();

// Whether a notification also expires a name that the kernel was told does not exist. Not so from
// Linux 6.19 on, where fuse_reverse_inval_entry() finds only existing files (by way of
// start_removing_noperm()), until "fuse: do not use start_removing_noperm()" of 7.1.
bool kernel_expires_absent_names(std::string_view release);

}  // namespace foliofs::fuse
