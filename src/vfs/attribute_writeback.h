// Attributes that programs have set and the server does not have yet.
//
// Of a file that this client is making it has an exclusive lease: until the file is closed for the
// first time nobody else looks at it before the lease is returned. So owner, mode and times need
// not go to the server one by one, each with a round trip that a program waits for. They go with
// the file's bytes. What is left goes by itself: at the first close, at fsync, when the lease is
// asked back, before any other request that names the file, or after `dirty_expire`.
//
// Kept is only what the server cannot refuse: the owner's changes to a file of his own, without
// set-id bits. Should it fail all the same, fsync or close says so, and it is tried again. Where
// leases have ended without having been returned, it is looked first whether somebody else has
// changed the file since: his change came later.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "foliofs/base/clock.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/rpc/session.h"
#include "foliofs/vfs/operations.h"

namespace foliofs::vfs {

class MountCore;
struct Inode;
struct ServerOpen;

// An inode's own part.
struct DirtyAttributes {
  // What the server does not have: kSetMode, kSetUid, kSetGid, kSetAtime, kSetMtime.
  AttributeChange unsent;
  Caller setter;
  Attributes before;  // the server's, when the first of them was set, or the last one sent
  std::uint32_t sent_mode = 0;  // of this client's, the latest that the server may have
  bool unsure = false;          // others may have changed the file since then
  std::int64_t set_at_ns = 0;   // the latest of them: the ctime that is shown
  // The latest WRITE that had begun when the modification time was set (InodeIo::latest_write()).
  std::uint64_t after_write = 0;
  // The modification time that is shown (Inode::mtime_shown) was set, not brought about by a store.
  bool mtime_is_set = false;
  // Grows with each that is set or does not count any more. Requests that are under way carry those
  // of `sent_version`. Others wait for them, so that nothing is overtaken by what was set before
  // it.
  std::uint64_t version = 0;
  std::uint64_t sent_version = 0;
  std::uint32_t requests = 0;
  WaitQueue answered;
  bool expires = false;  // it is written when it gets old
};

// A request under way that carries what is dirty of an inode.
class CarriedAttributes {
 public:
  CarriedAttributes() = default;  // nothing
  // REQUIRES: nothing older is under way.
  explicit CarriedAttributes(std::shared_ptr<Inode> inode);
  CarriedAttributes(CarriedAttributes&& other) noexcept
      : inode_(std::move(other.inode_)), version_(other.version_) {}
  CarriedAttributes& operator=(CarriedAttributes&&) = delete;
  ~CarriedAttributes();

  // Whether nothing has been set since. REQUIRES: they are not nothing.
  bool are_latest() const;

  // The server has them, and says `now` of the file.
  void arrived(const Attributes& now);

 private:
  std::shared_ptr<Inode> inode_;
  std::uint64_t version_ = 0;
};

class AttributeWriteback {
 public:
  explicit AttributeWriteback(MountCore& core) : core_(core) {}
  AttributeWriteback(const AttributeWriteback&) = delete;
  AttributeWriteback& operator=(const AttributeWriteback&) = delete;

  // Whether `change` by `caller` may be kept here.
  bool may_keep(const Inode& inode, const Caller& caller, const AttributeChange& change) const;
  // REQUIRES: may_keep().
  void keep(const std::shared_ptr<Inode>& inode, const Caller& caller,
            const AttributeChange& change);
  // Something is to be sent, or under way: what is sent now could overtake it.
  static bool is_dirty(const Inode& inode);
  // What programs are shown.
  static void show(const Inode& inode, Attributes& shown);
  // Bytes have been stored: a modification time that was set before does not count any more.
  static void stored(Inode& inode);
  // The server has been told of `valid` (proto::SetAttrField bits) by another request.
  static void superseded(Inode& inode, std::uint32_t valid);

  // Returns when the server has what is dirty, or that could not be done: a failure goes to the
  // mapping's errors.
  Task<void> write(std::shared_ptr<Inode> inode);
  // As write(), before another client may change the file. If an mtime was set and little is dirty,
  // the bytes go first: written later they would overwrite the other client's mtime.
  Task<void> write_for_others(std::shared_ptr<Inode> inode);
  // What is dirty, once nothing older is under way, goes with `request`, a WRITE through `open`.
  // When it fails the bytes must not go either.
  Task<Result<CarriedAttributes>> carry(std::shared_ptr<Inode> inode, const ServerOpen& open,
                                        wire::WriteRequestT& request);
  // After a flush: gives the server the modification time of the stores that programs have been
  // shown.
  Task<void> settle_mtime(std::shared_ptr<Inode> inode);
  // Of all files; EIO when it could not be done for one of them.
  Task<Status> write_all();
  // All leases have ended: the same in the background.
  void leases_lost();

 private:
  Task<Status> send(std::shared_ptr<Inode> inode, CarriedAttributes& carried);
  Task<Status> look_again(std::shared_ptr<Inode> inode);
  void write_when_old(const std::shared_ptr<Inode>& inode);
  static Task<void> write_old(MountCore& core);

  struct Expiring {
    std::weak_ptr<Inode> inode;
    TimePoint since;
  };

  MountCore& core_;
  std::deque<Expiring> expiring_;  // oldest first
  bool writes_old_ = false;
};

}  // namespace foliofs::vfs
