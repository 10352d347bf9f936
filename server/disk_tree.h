// DiskTree: tells what of a filesystem is inside the tree below a directory, by its file handle.
//
// In doubt it is inside. Does not know of events or changes.
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
  // The tree below the directory that `root` refers to, wherever that will be moved. `root` is
  // borrowed during the call. EPERM without CAP_DAC_READ_SEARCH; EOPNOTSUPP when the filesystem has
  // no handles; ENAMETOOLONG when the path to the tree is too long.
  static Result<DiskTree> open(int root);

  // A directory of the filesystem; lives as long as the tree.
  int root() const { return root_.get(); }

  // Whether the directory that `fd` refers to is the root or inside, by whichever mount it was
  // reached.
  bool contains(int fd);

  // Whether a directory is inside. Not when it was deleted: that is a change of the directory it
  // was in, and of what was in it something is left only if it has_file().
  bool has_directory(DiskHandle handle);

  // Whether a file, which may be reached through a directory outside or a deleted one, is inside,
  // or may be. One of several names is where it was found last.
  bool has_file(DiskHandle handle) const;

  // To be called when a directory was moved: what was outside may be inside now.
  void forget();

 private:
  explicit DiskTree(UniqueFd root);

  UniqueFd reopen(DiskHandle handle, int flags) const;
  bool is_inside(int fd) const;
  std::string& remembered(DiskHandle handle);

  UniqueFd root_;
  // Handles of directories outside. Each has one place that it can be in, where it takes the place
  // of another.
  std::vector<std::string> outside_;
};

}  // namespace foliofs::server
