// NodeTable: the files of which the local store holds an O_PATH descriptor, so that resolving a
// handle in use costs no system call. Bounded: the least recently used node is dropped first.
//
// An O_PATH descriptor keeps a deleted file's blocks on the disk. Therefore the node of a file that
// has lost its last name is dropped at once unless the file is open, and drop_idle() drops nodes
// that have not been used for a while.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "foliofs/base/unique_fd.h"
#include "server/file_handle.h"
#include "server/file_id.h"
#include "server/inode.h"

namespace foliofs::server {

struct Node {
  // Immutable.
  UniqueFd fd;  // O_PATH
  Handle handle;
  FileId id;
  mode_t type = 0;  // S_IFMT bits
  std::shared_ptr<Inode> inode;

  // A directory that was listed recently and was short.
  std::atomic<bool> lists_quickly = false;

  // Guarded by the table's mutex.
  std::uint32_t opens = 0;
  bool unlinked = false;
  bool recently_used = true;
};

using NodeRef = std::shared_ptr<Node>;

// Thread-safe.
class NodeTable {
 public:
  explicit NodeTable(std::size_t capacity) : capacity_(capacity) {}

  // nullptr when the table does not have it. Only a handle with the right MAC can be found.
  NodeRef find(HandleView handle);
  NodeRef find(const FileId& id);

  // Returns the node that the table has for this file: `node`, or the one that was there before.
  NodeRef insert(NodeRef node);

  // The node has one more open file; one fewer.
  void opened(Node& node);
  void closed(Node& node);
  // The file has lost its last name.
  void unlinked(const FileId& id);

  // Drops the nodes that have not been used since the last call, except those in use elsewhere.
  void drop_idle();
  // Drops half of the nodes, for when descriptors run out.
  void shrink();

  std::size_t size() const;

 private:
  using List = std::list<NodeRef>;

  NodeRef touch(List::iterator found);
  void erase(List::iterator found);
  void evict_down_to(std::size_t target, std::size_t tries);

  const std::size_t capacity_;
  mutable std::mutex mutex_;  // guards what follows
  List by_use_;               // most recent first
  std::unordered_map<std::string_view, List::iterator> by_handle_;
  std::unordered_map<FileId, List::iterator, FileIdHash> by_id_;
};

}  // namespace foliofs::server
