#include "peer_credentials.h"

namespace foliofs::control {

Result<ucred> peer_credentials(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return last_errno();
  return credentials;
}

}  // namespace foliofs::control
