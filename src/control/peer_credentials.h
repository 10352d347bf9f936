// Who is at the other end of a Unix stream socket: for a client, who listens there.
#pragma once

#include <sys/socket.h>

#include "foliofs/base/result.h"

namespace foliofs::control {

// The errno of getsockopt().
Result<ucred> peer_credentials(int fd);

}  // namespace foliofs::control
