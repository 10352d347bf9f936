// DiskTree: tells by file handle whether a file or directory of a filesystem is inside the tree
// below a directory.
//
// When in doubt, it says inside. Does not know of events or changes.
#pragma once

#include <string>
#include <vector>

#include "foliofs/base/result.h"
#include "foliofs/base/unique_fd.h"
#include "server/disk_event.h"

namespace foliofs::server {

// Used by one thread at a time.
class DiskTree {
 public:
  // The tree below the directory that `root` refers to, even if that is moved later. `root` is
  // borrowed during the call. EPERM without CAP_DAC_READ_SEARCH; EOPNOTSUPP when the filesystem has
  // no handles; ENAMETOOLONG when the path to the tree is too long.
  static Result<DiskTree> open(int root);

  // A directory of the filesystem; stays open as long as the tree lives.
  int root() const { return root_.get(); }

  // Whether the directory that `fd` refers to is the root or inside, through whichever mount it was
  // reached.
  bool contains(int fd);

  // Whether a directory is inside. False for a deleted directory: its deletion is a change of its
  // parent, and a file that was in it still exists only if has_file() says so.
  bool has_directory(DiskHandle handle);

  // Whether a file is inside or may be; it may be reached through a directory outside or a deleted
  // one. A file with several names is taken to be where it was found last.
  bool has_file(DiskHandle handle) const;

  // To be called when a directory was moved: what was outside may now be inside.
  void forget();

 private:
  explicit DiskTree(UniqueFd root);

  UniqueFd reopen(DiskHandle handle, int flags) const;
  bool is_inside(int fd) const;
  std::string& remembered(DiskHandle handle);

  UniqueFd root_;
  // Handles of directories known to be outside. Each handle has one slot that it can be in, and
  // replaces the handle that was there.
  std::vector<std::string> outside_;
};

}  // namespace foliofs::server
