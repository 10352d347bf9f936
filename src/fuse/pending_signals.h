// Whether a thread that waits for us is about to die. The kernel tells a FUSE daemon only that a
// caller has a signal, not which one.
#pragma once

#include <sys/types.h>

#include <string>

namespace foliofs::fuse {

// Whether `status`, the text of /proc/<tid>/status, shows a pending signal that will end the
// process because the process does not or cannot handle it.
bool status_has_fatal_signal(const std::string& status);

// The same for a thread. True if the thread is gone; false if it cannot be seen from here (0).
bool fatal_signal_pending(pid_t tid);

}  // namespace foliofs::fuse
