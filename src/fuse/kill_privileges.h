// The part of FUSE_HANDLE_KILLPRIV_V2 that libfuse 3.14 does not pass on: whether a request has to
// clear set-id bits and file capabilities.
#pragma once

#include <sys/types.h>

namespace foliofs::fuse {

// True if `request`, as the kernel sent it, is a WRITE, or a SETATTR of the size, whose caller
// lacks CAP_FSETID. For a change of the owner, and for O_TRUNC in a CREATE, the server decides
// itself.
bool kills_privileges(const void* request, ssize_t bytes);

}  // namespace foliofs::fuse
