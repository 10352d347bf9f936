// FilesystemTraits: what follows for a store from the type of its filesystem.
#pragma once

namespace foliofs::server {

struct FilesystemTraits {
  // Its calls wait for another machine, or for a process of this one.
  bool remote = false;
  // A name leads to a file whether its letters are upper or lower case, so a change of one name is
  // one of others too, of which nobody is told. It is so in a directory with `chattr +F`, too, but
  // that does not show here.
  bool ignores_case = false;
  // tmpfs and ramfs: there is no RWF_NOWAIT, a read waits at most for swapped pages, and ctime may
  // not tell of xattrs.
  bool in_memory = false;
};

// Of the filesystem that has the file which `fd` refers to; no traits where its type is not known.
FilesystemTraits filesystem_traits(int fd);

}  // namespace foliofs::server
