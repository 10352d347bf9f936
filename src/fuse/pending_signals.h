// Whether a thread that waits for us is about to die. The kernel tells a FUSE daemon only that a
// caller has a signal, not which.
#pragma once

#include <sys/types.h>

#include <string>

namespace foliofs::fuse {

// Judges the text of /proc/<tid>/status: a signal is pending that ends the process, because it
// cannot be or is not handled.
bool is_to_be_killed(const std::string& status);

// The same of a thread. One that is gone is; one that cannot be seen from here (0) is not.
bool is_to_be_killed(pid_t tid);

}  // namespace foliofs::fuse
