// Whether a thread that waits for us is about to die. The kernel tells a FUSE daemon only that a
// caller has a signal, not which.
#pragma once

#include <sys/types.h>

#include <string>

namespace foliofs::fuse {

// Whether a signal is pending, by the text of /proc/<tid>/status, that ends the process because it
// cannot be or is not handled.
bool status_has_fatal_signal(const std::string& status);

// The same of a thread. True of one that is gone; false of one that cannot be seen from here (0).
bool fatal_signal_pending(pid_t tid);

}  // namespace foliofs::fuse
