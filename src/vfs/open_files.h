// OpenFiles: what programs of this mount have open, from the kernel's OPEN to its RELEASE; and
// files that were released before everything dirty could be written.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "foliofs/base/task.h"
#include "foliofs/vfs/operations.h"
#include "inode.h"

namespace foliofs::vfs {

class MountCore;

class OpenFiles {
 public:
  explicit OpenFiles(MountCore& core) : core_(core) {}
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

  // `flags` as given to open(2). REQUIRES: the inode has a mapping (MountCore::prepare_mapping()).
  OpenedFile add(const InodeRef& inode, std::shared_ptr<ServerOpen> open, int flags);
  // The kernel has released the file; nullptr when it had before.
  OpenFileRef take(OpenFile* file);
  // Ends an open that was taken and has nothing left to write.
  Task<void> drop(OpenFileRef file);

  std::size_t size() const { return files_.size(); }
  std::vector<OpenFile*> all() const;

  // Goes on trying, in the background, to write what could not be written when the file with this
  // open was released.
  void write_later(InodeRef inode, std::shared_ptr<ServerOpen> open);
  // The file has lost a name. If it was the last one and nobody here has the file open, what could
  // not be written is given up, because it is of no use.
  Task<void> lost_name(InodeRef inode);

 private:
  static Task<void> keep_writing(MountCore& core, InodeRef inode, std::shared_ptr<ServerOpen> open);
  // Everything is written, or there is no file any more to write it to.
  Task<void> stop_writing_later(InodeRef inode);

  MountCore& core_;
  std::map<OpenFile*, OpenFileRef> files_;
};

}  // namespace foliofs::vfs
