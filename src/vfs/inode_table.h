// InodeTable: the inodes of a mount by node id and by the server's handle, so that one file has one
// inode, one node id and one mapping, whatever its names. Also by the name under which each was
// found last, and how much memory they take.
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
  // The inode with this handle, made if there is none. Attributes are the caller's business.
  InodeRef find_or_create(const HandleBytes& handle);

  // The server has given the file another handle.
  void change_handle(Inode& inode, HandleBytes handle);

  // The file has been found as `name` in `parent`; the latest name is the one remembered. The one
  // before may still be there, and nothing is known of it then, or is certainly gone.
  enum class OldName { kMayStay, kIsGone };
  void change_name(Inode& inode, NodeId parent, const std::string& name,
                   OldName before = OldName::kMayStay);
  // The inode last found under this name; nullptr when none is.
  InodeRef find_by_name(NodeId parent, std::string_view name) const;

  // Drops the inode if nobody needs it any more. True if so.
  bool drop_if_unused(const InodeRef& inode);

  // `visit(inode)` for each.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [node, inode] : by_node_) visit(inode);
  }

  std::size_t size() const { return by_node_.size(); }

  // What the inodes take of memory, as far as many of them matter: with handles, names and
  // mappings, without what the mappings hold.
  std::uint64_t bytes() const { return bytes_; }
  // The inode may take more or less than before.
  void recount(Inode& inode);
  // How many have been dropped so far.
  std::uint64_t drops() const { return drops_; }

 private:
  struct Name {
    NodeId parent;
    std::string_view name;
  };
  // By what is in the inodes themselves: it stays as it is while they are in a set.
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

  // It may have been dropped while somebody still has a reference to it.
  bool has(const Inode& inode) const { return inode.counted_bytes != 0; }
  void count(Inode& inode);
  void forget_handle(const Inode& inode);
  void forget_name(const Inode& inode, OldName name);

  std::unordered_map<NodeId, InodeRef> by_node_;
  // Of those in `by_node_`.
  std::unordered_set<Inode*, HandleHash, SameHandle> by_handle_;
  std::unordered_set<Inode*, NameHash, SameName> by_name_;
  NodeId last_node_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t drops_ = 0;
};

}  // namespace foliofs::vfs
