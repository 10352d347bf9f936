// FilesystemTraits: what the type of a filesystem implies for a store.
#pragma once

namespace foliofs::server {

struct FilesystemTraits {
  // Its calls wait for another machine, or for another process of this one.
  bool remote = false;
  // Names that differ only in case lead to the same file, so a change of one name changes others
  // too, about which no client is told. A directory with `chattr +F` behaves the same, but that
  // does not show here.
  bool ignores_case = false;
  // tmpfs and ramfs: they have no RWF_NOWAIT, a read waits at most for swapped pages, and a change
  // of xattrs may not move ctime.
  bool in_memory = false;
};

// The traits of the filesystem with the file that `fd` refers to; none if its type cannot be read.
FilesystemTraits filesystem_traits(int fd);

}  // namespace foliofs::server
