// ChangeScope: brackets each change that the local store makes to a file.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "foliofs/base/result.h"
#include "foliofs/proto/messages.h"
#include "server/call_context.h"
#include "server/node_table.h"

namespace foliofs::server {

class LocalStore;

// Brackets a change of one file: whatever happens to the file from here to finish() counts as the
// session's doing. finish() ends the leases that other sessions have of the file.
class ChangeScope {
 public:
  // The arguments must outlive the scope.
  ChangeScope(const LocalStore& store, int fd, Inode& inode, const CallContext& context);
  // Gives the session a lease of the node, so that it learns of later changes.
  ChangeScope(const LocalStore& store, const Node& node, const CallContext& context);
  ChangeScope(const ChangeScope&) = delete;
  ChangeScope& operator=(const ChangeScope&) = delete;
  ~ChangeScope();

  // Part of the change is done: if the rest fails and finish() is never called, it still counts as
  // a change. The file's times may not show it, because they move in steps.
  void touched() { touched_ = true; }
  // The operation is over; `changed` says whether it succeeded. Returns the attributes that it
  // left. For a directory, `names` are the names in it that the operation has touched. Call at most
  // once.
  Result<wire::Attributes> finish(bool changed, const std::vector<std::string>& names = {});

 private:
  const LocalStore& store_;
  const int fd_;
  Inode& inode_;
  const CallContext& context_;
  struct statx info_;
  bool touched_ = false;
  bool finished_ = false;
};

}  // namespace foliofs::server
