// InodeTable: the records of files (inode.h), by which file they are of.
#pragma once

#include <array>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "server/file_id.h"
#include "server/inode.h"

namespace foliofs::server {

// Bounded; the record least recently asked for goes first, those in use and those of files that
// somebody has a lease of stay. A file whose record went gets a new one with another epoch.
// Thread-safe.
class InodeTable {
 public:
  explicit InodeTable(std::size_t capacity = 65536);

  std::shared_ptr<Inode> get(const FileId& id);
  std::size_t size() const;

 private:
  using Item = std::pair<FileId, std::shared_ptr<Inode>>;
  struct Shard {
    mutable std::mutex mutex;  // guards what follows
    std::list<Item> by_use;    // most recent first
    std::unordered_map<FileId, std::list<Item>::iterator, FileIdHash> by_id;
  };
  void evict(Shard& shard) const;

  static constexpr std::size_t kShards = 16;
  const std::size_t shard_capacity_;
  std::array<Shard, kShards> shards_;
};

}  // namespace foliofs::server
