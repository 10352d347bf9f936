// ChangeScope: every change that the local store makes of a file is made in one.
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

// Brackets a change of one file: from here to finish() what happens to it is the session's doing.
// Leases that others have of it end with finish().
class ChangeScope {
 public:
  // What it refers to must outlive the scope.
  ChangeScope(const LocalStore& store, int fd, Inode& inode, const CallContext& context);
  // The session gets a lease of the node, and knows from here on what becomes of it.
  ChangeScope(const LocalStore& store, const Node& node, const CallContext& context);
  ChangeScope(const ChangeScope&) = delete;
  ChangeScope& operator=(const ChangeScope&) = delete;
  ~ChangeScope();

  // A part of it is done: should the rest fail, and nobody say finish(), it counts as a change all
  // the same. The file's times may not show it, as they move in steps.
  void touched() { touched_ = true; }
  // The operation is over; `changed` when it succeeded. The attributes that it left. Of a
  // directory, `names` are those in it that it has touched. Once at most.
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
