// The options of -o and of `foliofs set`, as pairs.
#pragma once

#include <string>
#include <vector>

#include "foliofs/vfs/mount_options.h"

namespace foliofs::cli {

// Splits lists such as "a,b=c". A comma inside a value is written "\,".
std::vector<vfs::OptionPair> split_options(const std::vector<std::string>& lists);

}  // namespace foliofs::cli
