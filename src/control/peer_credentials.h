// The credentials of the process at the other end of a Unix stream socket; for a client, the one
// that listens.
#pragma once

#include <sys/socket.h>

#include "foliofs/base/result.h"

namespace foliofs::control {

// The errno of getsockopt().
Result<ucred> peer_credentials(int fd);

}  // namespace foliofs::control
