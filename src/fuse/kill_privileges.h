// What libfuse 3.14 does not pass on of FUSE_HANDLE_KILLPRIV_V2: whether a request is to take
// set-id bits and capabilities away.
#pragma once

#include <sys/types.h>

namespace foliofs::fuse {

// Looks at a request as the kernel has sent it: a WRITE, or a SETATTR of the size, by somebody
// without CAP_FSETID. What an owner changes, and O_TRUNC in a CREATE, the server judges itself.
bool kills_privileges(const void* request, ssize_t bytes);

}  // namespace foliofs::fuse
