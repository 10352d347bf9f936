#include "server/node_table.h"

namespace foliofs::server {

NodeRef NodeTable::touch(List::iterator found) {
  (*found)->recently_used = true;
  by_use_.splice(by_use_.begin(), by_use_, found);
  return *found;
}

NodeRef NodeTable::find(HandleView handle) {
  std::lock_guard lock(mutex_);
  auto found = by_handle_.find(text_of(handle));
  return found == by_handle_.end() ? nullptr : touch(found->second);
}

NodeRef NodeTable::find(const FileId& id) {
  std::lock_guard lock(mutex_);
  auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : touch(found->second);
}

NodeRef NodeTable::insert(NodeRef node) {
  std::lock_guard lock(mutex_);
  if (auto found = by_id_.find(node->id); found != by_id_.end()) return touch(found->second);
  by_use_.push_front(node);
  by_handle_.emplace(text_of(node->handle), by_use_.begin());
  by_id_.emplace(node->id, by_use_.begin());
  evict_down_to(capacity_, 16);
  return node;
}

void NodeTable::erase(List::iterator found) {
  by_handle_.erase(text_of((*found)->handle));
  by_id_.erase((*found)->id);
  by_use_.erase(found);
}

// A node that only the table holds cannot gain a user without the lock. Nodes in use are moved to
// the front, so that a table full of them costs no long search the next time.
void NodeTable::evict_down_to(std::size_t target, std::size_t tries) {
  while (by_use_.size() > target && tries-- > 0) {
    auto last = std::prev(by_use_.end());
    if (last->use_count() > 1) {
      by_use_.splice(by_use_.begin(), by_use_, last);
    } else {
      erase(last);
    }
  }
}

void NodeTable::opened(Node& node) {
  std::lock_guard lock(mutex_);
  ++node.opens;
}

void NodeTable::closed(Node& node) {
  std::lock_guard lock(mutex_);
  if (--node.opens > 0 || !node.unlinked) return;
  auto found = by_id_.find(node.id);
  if (found != by_id_.end() && found->second->get() == &node) erase(found->second);
}

void NodeTable::unlinked(const FileId& id) {
  std::lock_guard lock(mutex_);
  auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  Node& node = **found->second;
  node.unlinked = true;
  if (node.opens == 0) erase(found->second);
}

void NodeTable::drop_idle() {
  std::lock_guard lock(mutex_);
  for (auto it = by_use_.begin(); it != by_use_.end();) {
    auto here = it++;
    const bool idle = !(*here)->recently_used && here->use_count() == 1;
    (*here)->recently_used = false;
    (*here)->lists_quickly = false;
    if (idle) erase(here);
  }
}

void NodeTable::shrink() {
  std::lock_guard lock(mutex_);
  evict_down_to(by_use_.size() / 2, by_use_.size());
}

std::size_t NodeTable::size() const {
  std::lock_guard lock(mutex_);
  return by_use_.size();
}

}  // namespace foliofs::server
