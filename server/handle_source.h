// What the body of a handle is, and how one becomes a descriptor again.
//
// Kernel handles (name_to_handle_at) name a file for good and outlive the server. Where the
// filesystem or the server's privileges do not give them, a body is a number that is good only
// while the node table holds the file's descriptor.
#pragma once

#include <memory>

#include "foliofs/base/result.h"
#include "foliofs/base/unique_fd.h"
#include "server/file_handle.h"

namespace foliofs::server {

// Thread-safe.
class HandleSource {
 public:
  virtual ~HandleSource() = default;

  // A body for the file that `fd` (O_PATH will do) refers to, which the node table does not hold.
  virtual Result<HandleBody> identify(int fd) = 0;

  // An O_PATH descriptor of the file that `body` names, or -1 with errno. Needs the server's own
  // privileges. ESTALE when there is no such file any more.
  virtual int open(HandleView body) = 0;

  // Whether open() can bring back what the node table has dropped.
  virtual bool can_reopen() const = 0;
};

// Kernel handles below `root` (not O_PATH; must outlive the source). Tries one out first: an errno
// says why they do not work here.
Result<std::unique_ptr<HandleSource>> make_kernel_handles(int root);

// Numbers; never fails.
std::unique_ptr<HandleSource> make_descriptor_handles();

}  // namespace foliofs::server
