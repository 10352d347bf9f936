#include "foliofs/vfs/attributes.h"

#include <sys/stat.h>

namespace foliofs::vfs {

bool Attributes::is_regular() const {
  return S_ISREG(mode);
}
bool Attributes::is_directory() const {
  return S_ISDIR(mode);
}

Attributes from_wire(const wire::Attributes& wire) {
  Attributes attributes;
  attributes.ino = wire.ino();
  attributes.size = wire.size();
  attributes.blocks = wire.blocks();
  attributes.rdev = wire.rdev();
  attributes.atime_ns = wire.atime_ns();
  attributes.mtime_ns = wire.mtime_ns();
  attributes.ctime_ns = wire.ctime_ns();
  attributes.btime_ns = wire.btime_ns();
  attributes.foreign_changes = wire.foreign_changes();
  attributes.change_epoch = wire.change_epoch();
  attributes.mode = wire.mode();
  attributes.nlink = wire.nlink();
  attributes.uid = wire.uid();
  attributes.gid = wire.gid();
  attributes.blksize = wire.blksize();
  attributes.flags = wire.flags();
  return attributes;
}

bool changed_by_others(const Attributes& before, const Attributes& now) {
  if (before.change_epoch == now.change_epoch) {
    return before.foreign_changes != now.foreign_changes;
  }
  // The server has forgotten whose changes it counted, so any trace of a change must do.
  return before.mtime_ns != now.mtime_ns || before.ctime_ns != now.ctime_ns ||
         before.size != now.size;
}

bool overtaken(const Attributes& said, const Attributes& known) {
  return said.change_epoch == known.change_epoch && said.foreign_changes < known.foreign_changes;
}

bool is_later(const Attributes& said, const Attributes& known) {
  if (said.change_epoch == known.change_epoch && said.foreign_changes != known.foreign_changes) {
    return said.foreign_changes > known.foreign_changes;
  }
  return said.ctime_ns > known.ctime_ns;
}

bool same_file(const Attributes& a, const Attributes& b) {
  // A new file may get the inode number of an old one that is gone, but its birth time is another.
  const bool same =
      a.ino == b.ino && a.btime_ns == b.btime_ns && (a.mode & S_IFMT) == (b.mode & S_IFMT);
  // Not every filesystem tells the birth time. The kernel keeps the target of a symlink for as long
  // as it knows the symlink, so a symlink in doubt counts as another one.
  const bool doubtful = S_ISLNK(a.mode) && a.btime_ns == 0 && a.ctime_ns != b.ctime_ns;
  return same && !doubtful;
}

}  // namespace foliofs::vfs
