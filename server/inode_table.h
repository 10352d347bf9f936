// InodeTable: the records of files (inode.h), by FileId.
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

// Bounded: the least recently used record is dropped first, but records in use and records of
// leased files stay. A file whose record was dropped gets a new one with another epoch.
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
