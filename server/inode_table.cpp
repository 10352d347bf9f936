#include "server/inode_table.h"

#include <algorithm>

#include "server/random.h"

namespace foliofs::server {

namespace {

std::uint64_t new_epoch() {
  return random_value<std::uint64_t>() | 1;
}

}  // namespace

InodeTable::InodeTable(std::size_t capacity)
    : shard_capacity_(std::max<std::size_t>(capacity / kShards, 1)) {}

std::shared_ptr<Inode> InodeTable::get(const FileId& id) {
  Shard& shard = shards_[FileIdHash()(id) % kShards];
  std::lock_guard lock(shard.mutex);
  auto found = shard.by_id.find(id);
  if (found != shard.by_id.end()) {
    shard.by_use.splice(shard.by_use.begin(), shard.by_use, found->second);
    return found->second->second;
  }
  shard.by_use.emplace_front(id, std::make_shared<Inode>(new_epoch()));
  shard.by_id.emplace(id, shard.by_use.begin());
  auto inode = shard.by_use.front().second;
  evict(shard);
  return inode;
}

// A record that only the table holds cannot gain a user without the shard's lock. Records that must
// stay are moved to the front, a few each time, so that a table full of them costs no long search.
void InodeTable::evict(Shard& shard) const {
  for (int tries = 0; tries < 8 && shard.by_use.size() > shard_capacity_; ++tries) {
    auto last = std::prev(shard.by_use.end());
    if (last->second.use_count() > 1 || last->second->is_leased()) {
      shard.by_use.splice(shard.by_use.begin(), shard.by_use, last);
    } else {
      shard.by_id.erase(last->first);
      shard.by_use.erase(last);
    }
  }
}

std::size_t InodeTable::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    size += shard.by_use.size();
  }
  return size;
}

}  // namespace foliofs::server
