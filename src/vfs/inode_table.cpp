#include "inode_table.h"

#include "inode_io.h"

namespace foliofs::vfs {

namespace {

// What an allocation takes beyond what was asked for.
constexpr std::size_t kAllocation = 16;
// In each of three tables: a node of a few words, and its share of the buckets.
constexpr std::size_t kInTables = 3 * (32 + kAllocation + 8);
constexpr std::size_t kReferenceCounts = 16;

std::size_t memory_of(const Inode& inode) {
  std::size_t bytes = sizeof(Inode) + kReferenceCounts + kAllocation + kInTables;
  bytes += inode.handle.capacity() + kAllocation;
  const bool name_inside = inode.name.capacity() <= std::string().capacity();
  if (!name_inside) bytes += inode.name.capacity() + kAllocation;
  if (inode.mapping) {
    bytes += cache::kMappingBytes + sizeof(InodeIo) + sizeof(Attributes) +
             3 * (kReferenceCounts + kAllocation);
  }
  return bytes;
}

}  // namespace

std::size_t InodeTable::HandleHash::operator()(const HandleBytes& handle) const {
  return std::hash<std::string_view>()(
      {reinterpret_cast<const char*>(handle.data()), handle.size()});
}

std::size_t InodeTable::NameHash::operator()(const Name& name) const {
  return std::hash<std::string_view>()(name.name) ^ (name.parent * 0x9e3779b97f4a7c15u);
}

InodeRef InodeTable::find(NodeId node) const {
  auto found = by_node_.find(node);
  return found == by_node_.end() ? nullptr : found->second;
}

InodeRef InodeTable::find_by_handle(const HandleBytes& handle) const {
  auto found = by_handle_.find(handle);
  return found == by_handle_.end() ? nullptr : find((*found)->node);
}

InodeRef InodeTable::find_or_create(const HandleBytes& handle) {
  if (InodeRef known = find_by_handle(handle)) return known;
  auto inode = std::make_shared<Inode>();
  // Node ids are not used again while this is mounted. The generation tells mounts apart
  // (fuse/request.cpp).
  inode->node = ++last_node_;
  inode->handle = handle;
  by_node_[inode->node] = inode;
  by_handle_.insert(inode.get());
  count(*inode);
  return inode;
}

void InodeTable::forget_handle(const Inode& inode) {
  auto found = by_handle_.find(inode.handle);
  if (found != by_handle_.end() && *found == &inode) by_handle_.erase(found);
}

void InodeTable::change_handle(Inode& inode, HandleBytes handle) {
  if (inode.handle == handle) return;
  forget_handle(inode);
  inode.handle = std::move(handle);
  if (!has(inode)) return;
  by_handle_.erase(&inode);  // another inode that had this handle
  by_handle_.insert(&inode);
  recount(inode);
}

void InodeTable::forget_name(const Inode& inode, OldName name) {
  auto found = by_name_.find(Name{inode.parent, inode.name});
  if (found == by_name_.end() || *found != &inode) return;
  by_name_.erase(found);
  const InodeRef parent = find(inode.parent);
  if (!parent) return;
  if (name == OldName::kMayStay) return parent->lease.forget_names();
  // A listing that goes on may count its entries. There is one less now, so it would skip one.
  parent->lease.listed_under = 0;
}

void InodeTable::change_name(Inode& inode, NodeId parent, const std::string& name, OldName before) {
  const bool same = inode.parent == parent && inode.name == name;
  // Another inode may have had the name meanwhile.
  auto found = by_name_.find(Name{parent, name});
  if (same && (name.empty() || (found != by_name_.end() && *found == &inode))) return;
  forget_name(inode, before);
  inode.named_under = 0;
  inode.parent = parent;
  inode.name = name;
  if (name.empty() || !has(inode)) return;
  by_name_.erase(&inode);  // another inode that had this name
  by_name_.insert(&inode);
  recount(inode);
}

InodeRef InodeTable::find_by_name(NodeId parent, std::string_view name) const {
  auto found = by_name_.find(Name{parent, name});
  return found == by_name_.end() ? nullptr : find((*found)->node);
}

void InodeTable::recount(Inode& inode) {
  if (has(inode)) count(inode);
}

void InodeTable::count(Inode& inode) {
  const std::size_t now = memory_of(inode);
  bytes_ += now - inode.counted_bytes;
  inode.counted_bytes = static_cast<std::uint32_t>(now);
}

bool InodeTable::drop_if_unused(const InodeRef& inode) {
  if (inode->node == kRootNode || inode->lookups != 0 || inode->open_count != 0) return false;
  if (inode->dirty() || AttributeWriteback::is_dirty(*inode)) return false;
  if (!has(*inode)) return false;
  forget_handle(*inode);
  forget_name(*inode, OldName::kMayStay);
  by_node_.erase(inode->node);
  bytes_ -= std::exchange(inode->counted_bytes, 0);
  ++drops_;
  return true;
}

}  // namespace foliofs::vfs
