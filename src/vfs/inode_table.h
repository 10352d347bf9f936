// InodeTable: the inodes of a mount by node id and by the server's handle, so that each file has
// one inode, one node id and one mapping, whatever its names. It also finds inodes by their last
// known name, and counts the memory that they take.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "inode.h"

namespace foliofs::vfs {

class InodeTable {
 public:
  // nullptr when the node is not known (any more).
  InodeRef find(NodeId node) const;

  // nullptr when no file is known by this handle.
  InodeRef find_by_handle(const HandleBytes& handle) const;
  // The inode with this handle, created if there is none. The caller has to set its attributes.
  InodeRef find_or_create(const HandleBytes& handle);

  // The server has given the file another handle.
  void change_handle(Inode& inode, HandleBytes handle);

  // The file has been found as `name` in `parent`. Only the latest name is remembered. The one
  // before is certainly gone, or may still be there, in which case nothing is known of it.
  enum class OldName { kMayStay, kIsGone };
  void change_name(Inode& inode, NodeId parent, const std::string& name,
                   OldName before = OldName::kMayStay);
  // The inode last found under this name; nullptr when none is.
  InodeRef find_by_name(NodeId parent, std::string_view name) const;

  // Drops the inode if nobody needs it any more. True if so.
  bool drop_if_unused(const InodeRef& inode);

  // Calls `visit(inode)` for each inode.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [node, inode] : by_node_) visit(inode);
  }

  std::size_t size() const { return by_node_.size(); }

  // The memory that inodes take, as far as it matters when there are many: with handles, names and
  // mappings, but without what the mappings hold.
  std::uint64_t bytes() const { return bytes_; }
  // The inode may take more or less memory than before.
  void recount(Inode& inode);
  // How many have been dropped so far.
  std::uint64_t drops() const { return drops_; }

 private:
  struct Name {
    NodeId parent;
    std::string_view name;
  };
  // The keys are fields of the inodes, which stay as they are while an inode is in a set.
  struct HandleHash {
    using is_transparent = void;
    std::size_t operator()(const HandleBytes& handle) const;
    std::size_t operator()(const Inode* inode) const { return (*this)(inode->handle); }
  };
  struct SameHandle {
    using is_transparent = void;
    static const HandleBytes& of(const HandleBytes& handle) { return handle; }
    static const HandleBytes& of(const Inode* inode) { return inode->handle; }
    bool operator()(const auto& a, const auto& b) const { return of(a) == of(b); }
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(const Name& name) const;
    std::size_t operator()(const Inode* inode) const { return (*this)(name_of(inode)); }
  };
  struct SameName {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const {
      return name_of(a).parent == name_of(b).parent && name_of(a).name == name_of(b).name;
    }
  };
  static Name name_of(const Name& name) { return name; }
  static Name name_of(const Inode* inode) { return {inode->parent, inode->name}; }

  // False for an inode that was dropped while somebody still had a reference to it.
  bool has(const Inode& inode) const { return inode.counted_bytes != 0; }
  void count(Inode& inode);
  void forget_handle(const Inode& inode);
  void forget_name(const Inode& inode, OldName name);

  std::unordered_map<NodeId, InodeRef> by_node_;
  // The inodes of `by_node_`.
  std::unordered_set<Inode*, HandleHash, SameHandle> by_handle_;
  std::unordered_set<Inode*, NameHash, SameName> by_name_;
  NodeId last_node_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t drops_ = 0;
};

}  // namespace foliofs::vfs
