#include "inode_table.h"

namespace foliofs::vfs {

InodeRef InodeTable::find(NodeId node) const {
  auto found = by_node_.find(node);
  return found == by_node_.end() ? nullptr : found->second;
}

InodeRef InodeTable::find_by_handle(const HandleBytes& handle) const {
  auto found = by_handle_.find(key(handle));
  return found == by_handle_.end() ? nullptr : found->second;
}

InodeRef InodeTable::find_or_create(const HandleBytes& handle) {
  InodeRef& inode = by_handle_[key(handle)];
  if (!inode) {
    inode = std::make_shared<Inode>();
    inode->node = ++last_node_;  // node ids are never used again, so no generation is needed
    inode->handle = handle;
    by_node_[inode->node] = inode;
  }
  return inode;
}

void InodeTable::change_handle(Inode& inode, HandleBytes handle) {
  if (inode.handle == handle) return;
  auto self = find(inode.node);
  auto old = by_handle_.find(key(inode.handle));
  if (old != by_handle_.end() && old->second == self) by_handle_.erase(old);
  inode.handle = std::move(handle);
  by_handle_[key(inode.handle)] = std::move(self);
}

void InodeTable::forget_name(const Inode& inode) {
  auto found = by_name_.find(key(inode.parent, inode.name));
  if (found == by_name_.end() || found->second != inode.node) return;
  by_name_.erase(found);
  if (auto parent = find(inode.parent)) parent->lease.names_complete = 0;
}

void InodeTable::change_name(Inode& inode, NodeId parent, const std::string& name) {
  if (inode.parent == parent && inode.name == name) return;
  forget_name(inode);
  inode.named_under = 0;
  inode.parent = parent;
  inode.name = name;
  if (!name.empty()) by_name_[key(parent, name)] = inode.node;
}

InodeRef InodeTable::find_by_name(NodeId parent, const std::string& name) const {
  auto found = by_name_.find(key(parent, name));
  return found == by_name_.end() ? nullptr : find(found->second);
}

void InodeTable::drop_if_unused(const InodeRef& inode) {
  if (inode->node == kRootNode || inode->lookups != 0 || inode->open_count != 0) return;
  if (inode->dirty()) return;
  auto found = by_handle_.find(key(inode->handle));
  if (found != by_handle_.end() && found->second == inode) by_handle_.erase(found);
  forget_name(*inode);
  by_node_.erase(inode->node);
}

}  // namespace foliofs::vfs
