// Leases: what the server has promised to tell of before anybody sees it changed, and how that is
// given back.
//
// A reply whose attributes say so gives a lease of the file. While it is held these attributes are
// believed without asking; of a directory, so are the names in it that were seen under it. The
// kernel is told to believe both for long, so a lease that goes takes three steps: from here on
// nothing is believed; the kernel is made to ask again; the server is told.
//
// None of them waits for the server, nor for a lock that the kernel holds for a request of ours:
// its answer may wait for another client that gives back a lease in the same way. The one thing
// that could is a name, for which the kernel locks the directory. So that is waited for only while
// no change of ours in that directory is under way, and not for long.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "foliofs/base/clock.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/proto/messages.h"
#include "foliofs/vfs/attributes.h"

namespace foliofs::vfs {

class MountCore;
struct Inode;
struct KernelName;

// An inode's own part. The numbers of leases are never used twice; 0 is none.
struct Lease {
  std::uint64_t number = 0;     // of the lease that is held, unless all are void meanwhile
  std::uint64_t lost_at = 0;    // MountCore::change; replies to what was asked before give none
  std::uint32_t returning = 0;  // recalls under way
  // Of a directory.
  std::uint64_t names_complete = 0;   // the lease under which every name in it is known
  std::uint64_t kernel_listing = 0;   // the lease under which the kernel keeps a listing
  std::uint32_t listing_streams = 0;  // open, which may add to that
  std::uint32_t own_changes = 0;      // under way, for which the kernel has locked it
};

class Leases {
 public:
  // How long the kernel may believe what a lease covers. It is told when the lease goes; this is
  // for a kernel whose daemon has been stopped.
  static constexpr Duration kBelieved = std::chrono::minutes(10);

  explicit Leases(MountCore& core) : core_(core) {}
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;

  bool holds(const Inode& inode) const;
  // The server says `attributes` of the inode in a reply to what was asked when `change` was
  // `asked_at`.
  void take(Inode& inode, const Attributes& attributes, std::uint64_t asked_at);

  // `inode` has been seen under its name in `parent`, in a reply to what was asked at `asked_at`
  // and has said of the parent before; or this client has given it the name.
  void name_seen(Inode& inode, const Inode& parent, std::uint64_t asked_at) const;
  // Whether that still is its name.
  bool covers_name(const Inode& inode, const Inode& parent) const;
  // Whether no name is in `directory` but those that the inode table knows.
  bool knows_all_names(const Inode& directory) const;
  void all_names_seen(Inode& directory, std::uint64_t asked_at) const;

  // What the session has heard.
  void recalled(wire::LeasesRecalledT recalled);
  // All are void: the server has said so, or whether it has cannot be known.
  void lose_all();
  // The same, and the server waits to be told.
  void lose_all_and_say_so();

  WaitQueue& progress() { return progress_; }
  std::uint64_t recalls() const { return recalls_; }
  std::uint64_t held() const;

 private:
  void lose(Inode& inode);
  static Task<void> give_back(MountCore& core, wire::LeasesRecalledT recalled);
  static Task<void> expire_names(MountCore& core, std::vector<KernelName> names,
                                 std::shared_ptr<bool> done);
  // Whether the kernel may still be about to take what it was told of the name.
  bool was_just_told(const KernelName& name) const;
  static Task<void> expire_again(MountCore& core, std::vector<KernelName> names);
  static Task<void> until_names_expired(MountCore& core, std::shared_ptr<bool> done,
                                        std::vector<std::shared_ptr<Inode>> directories);
  static Task<void> expire_everything(MountCore& core);
  static Task<void> revalidate(MountCore& core, std::shared_ptr<Inode> inode);
  static Task<void> say_returned(MountCore& core);
  void say_soon();

  MountCore& core_;
  std::uint64_t last_number_ = 0;
  std::uint64_t void_up_to_ = 0;  // leases of this number and earlier ones are void
  // MountCore::change: what was asked before gives no lease.
  std::uint64_t ignored_before_ = 0;
  bool expiring_ = false;
  bool expires_again_ = false;
  bool returns_everything_ = false;      // once all is expired
  std::vector<std::uint64_t> returned_;  // recalls that the server is to be told of
  bool say_everything_ = false;
  bool saying_ = false;
  std::uint64_t recalls_ = 0;
  WaitQueue progress_;
};

// A change of this client's in a directory, which the kernel has locked for it.
class OwnChange {
 public:
  OwnChange(MountCore& core, std::shared_ptr<Inode> directory);
  ~OwnChange();
  OwnChange(const OwnChange&) = delete;
  OwnChange& operator=(const OwnChange&) = delete;

 private:
  const std::shared_ptr<Inode> directory_;
};

}  // namespace foliofs::vfs
