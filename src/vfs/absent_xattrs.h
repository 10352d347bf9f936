// AbsentXattrs: extended attributes that a file was found not to have, at one version of the file.
// The kernel asks for a capability before it writes, and ls(1) for an ACL of each file that it
// shows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "foliofs/vfs/attributes.h"

namespace foliofs::vfs {

class AbsentXattrs {
 public:
  // There is no `name` in the file as it is `as_of`.
  void add(const Attributes& as_of, std::string name);
  // What the server says about them with the attributes: proto::kNoSecurityXattrs.
  void take_flags(const Attributes& said);
  // This client has just made the file: it has no capability.
  void made(const Attributes& as_of);
  // Whether it is known that the file, as it is `now`, has no `name`.
  bool contains(std::string_view name, const Attributes& now) const;

 private:
  void start_at(const Attributes& as_of);

  FileVersion version_;
  bool all_security_ = false;  // no ACL, and nothing that begins with `security.`
  std::vector<std::string> names_;
};

}  // namespace foliofs::vfs
