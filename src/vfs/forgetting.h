// Forgetting: keeps the memory of inodes within bounds, however many files the kernel remembers.
//
// An inode lives for as long as the kernel knows its node, and a kernel with memory to spare never
// forgets. So inodes have a share: an allowance of their own, and beyond it what the cache can
// spare of cache_size. When the share is used up, the client asks the kernel to forget the inodes
// used least recently, some at a time, and nobody waits for that. While the kernel does not keep
// up, listings bring no more inodes; lookups do.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <vector>

#include "foliofs/base/task.h"
#include "foliofs/vfs/mount.h"
#include "inode.h"

namespace foliofs::vfs {

class MountCore;

class Forgetting {
 public:
  explicit Forgetting(MountCore& core) : core_(core) {}
  Forgetting(const Forgetting&) = delete;
  Forgetting& operator=(const Forgetting&) = delete;

  // The kernel is being told of the inode, or opens it. What the kernel knows well it uses unseen.
  void used(Inode& inode);
  // The inodes take more or less memory than before, or their share has changed.
  void memory_changed();
  // There are so many inodes that listings had better bring no more.
  bool exhausted() const;

 private:
  // In one request to the kernel.
  static constexpr std::size_t kMostFiles = 1024;

  std::uint64_t share() const;
  // How many have to go: a little more than needed, so that this does not begin again at once.
  std::size_t too_many() const;
  // The least recently used inodes that can be forgotten, no more than `most`. Each that is looked
  // at goes to the end of the order, so that others are next if the kernel does not let go of it.
  std::vector<KernelFile> oldest(std::size_t most);
  static Task<void> run(MountCore& core);

  MountCore& core_;
  // Least recently used first. An inode that goes unlinks itself.
  boost::intrusive::list<Inode, boost::intrusive::base_hook<InodeByUse>,
                         boost::intrusive::constant_time_size<false>>
      by_use_;
  std::uint64_t set_aside_ = 0;
  bool running_ = false;
};

}  // namespace foliofs::vfs
