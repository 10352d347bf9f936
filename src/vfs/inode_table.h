// InodeTable: the inodes of a mount by node id and by the server's handle, so that one file has one
// inode, one node id and one mapping, whatever its names.
#pragma once

#include <string>
#include <unordered_map>

#include "inode.h"

namespace foliofs::vfs {

class InodeTable {
 public:
  // nullptr when the node is not known (any more).
  InodeRef find(NodeId node) const;

  // nullptr when no file is known by this handle.
  InodeRef find_by_handle(const HandleBytes& handle) const;
  // The inode with this handle, made if there is none. Attributes are the caller's business.
  InodeRef find_or_create(const HandleBytes& handle);

  // The server has given the file another handle.
  void change_handle(Inode& inode, HandleBytes handle);

  // The file has been found as `name` in `parent`; the latest name is the one remembered.
  void change_name(Inode& inode, NodeId parent, const std::string& name);
  // The inode last found under this name; nullptr when none is.
  InodeRef find_by_name(NodeId parent, const std::string& name) const;

  // Drops the inode if nobody needs it any more.
  void drop_if_unused(const InodeRef& inode);

  // `visit(inode)` for each.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [node, inode] : by_node_) visit(inode);
  }

  std::size_t size() const { return by_node_.size(); }

 private:
  static std::string key(const HandleBytes& handle) { return {handle.begin(), handle.end()}; }

  static std::string key(NodeId parent, const std::string& name) {
    return std::to_string(parent) + '/' + name;
  }
  void forget_name(const Inode& inode);

  std::unordered_map<NodeId, InodeRef> by_node_;
  std::unordered_map<std::string, InodeRef> by_handle_;
  std::unordered_map<std::string, NodeId> by_name_;
  NodeId last_node_ = 0;
};

}  // namespace foliofs::vfs
