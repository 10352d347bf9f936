// Forgetting: keeps the memory of inodes within bounds, however many files the kernel remembers.
//
// An inode lives for as long as the kernel knows its node, and a kernel with memory to spare never
// forgets. So inodes have a share: an allowance of their own, and beyond it what the cache can
// spare of cache_size. When that is used up the kernel is asked to forget those used least
// recently, some at a time, and nobody waits for it. A listing brings no more inodes while the
// kernel does not come after; a lookup does.
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

  // The kernel is just being told of the inode, or opens it. Of what it knows well it does not ask.
  void used(Inode& inode);
  // The inodes take more or less than before, or their share is another one.
  void memory_changed();
  // There are so many that listings had better bring no more.
  bool exhausted() const;

 private:
  // Of one request to the kernel.
  static constexpr std::size_t kMostFiles = 1024;

  std::uint64_t share() const;
  // How many have to go; a little more than needed, so that it does not begin again at once.
  std::size_t too_many() const;
  // Those used least recently that can be forgotten, no more than `most`. What is looked at goes to
  // the end of the order: if the kernel does not let go of it, others are next.
  std::vector<KernelFile> oldest(std::size_t most);
  static Task<void> run(MountCore& core);

  MountCore& core_;
  // Least recently used first. Those that go take themselves off.
  boost::intrusive::list<Inode, boost::intrusive::base_hook<InodeByUse>,
                         boost::intrusive::constant_time_size<false>>
      by_use_;
  std::uint64_t set_aside_ = 0;
  bool running_ = false;
};

}  // namespace foliofs::vfs
