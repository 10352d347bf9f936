// What the body of a handle contains, and how it becomes a descriptor again.
//
// Kernel handles (name_to_handle_at) identify a file permanently and stay valid when the server
// restarts. Where the filesystem does not support them or the server lacks the privileges, a body
// is a number that is valid only while the node table holds the file's descriptor.
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

  // A body for the file that `fd` refers to (O_PATH will do). REQUIRES: the node table lacks the
  // file.
  virtual Result<HandleBody> identify(int fd) = 0;

  // An O_PATH descriptor of the file that `body` names, or -1 with errno. Needs the server's own
  // privileges. ESTALE when the file no longer exists.
  virtual int open(HandleView body) = 0;

  // Whether open() can reopen files that the node table has dropped.
  virtual bool can_reopen() const = 0;
};

// Kernel handles for the filesystem of `root` (not O_PATH; must outlive the source). Tries one
// first; an error tells why they do not work here.
Result<std::unique_ptr<HandleSource>> make_kernel_handles(int root);

// Handles that are numbers; never fails.
std::unique_ptr<HandleSource> make_descriptor_handles();

}  // namespace foliofs::server
