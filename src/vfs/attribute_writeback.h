// Attributes that programs have set and the server does not have yet.
//
// This client has an exclusive lease of a file that it is making: until the file is closed for the
// first time, no other client looks at it before the lease is returned. So owner, mode and times
// need not go to the server one by one, each with a round trip that a program waits for. They go
// with the file's bytes. What is left goes by itself: at the first close, at fsync, when the lease
// is recalled, before any other request that names the file, or after `dirty_expire`.
//
// Only changes that the server cannot refuse are kept here: those by the owner to his own file,
// without set-id bits. Should the server fail all the same, fsync or close reports it, and the
// client tries again. Where leases have ended without having been returned, the client first looks
// whether somebody else has changed the file since, because that change came later.
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
  Attributes before;            // the server's, when the first was set or the last ones arrived
  std::uint32_t sent_mode = 0;  // the latest mode from this client that the server may have
  bool unsure = false;          // others may have changed the file since `before`
  std::int64_t set_at_ns = 0;   // when the latest was set: the ctime that is shown
  // The latest WRITE that had begun when the modification time was set (InodeIo::latest_write()).
  std::uint64_t after_write = 0;
  // The mtime that is shown (Inode::mtime_shown) was set by a program, not caused by a store.
  bool mtime_is_set = false;
  // Grows when an attribute is set or does not count any more. The requests under way carry those
  // of `sent_version`. Later requests wait for them, so that an older value does not overtake a
  // newer one.
  std::uint64_t version = 0;
  std::uint64_t sent_version = 0;
  std::uint32_t requests = 0;
  WaitQueue answered;
  bool expires = false;  // it is written when it gets old
};

// A request under way that carries an inode's dirty attributes.
class CarriedAttributes {
 public:
  CarriedAttributes() = default;  // carries nothing
  // REQUIRES: nothing older is under way.
  explicit CarriedAttributes(std::shared_ptr<Inode> inode);
  CarriedAttributes(CarriedAttributes&& other) noexcept
      : inode_(std::move(other.inode_)), version_(other.version_) {}
  CarriedAttributes& operator=(CarriedAttributes&&) = delete;
  ~CarriedAttributes();

  // Whether nothing has been set since. REQUIRES: it carries something.
  bool are_latest() const;

  // The server has these attributes, and says `now` of the file.
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

  // Whether `change` by `caller` may be kept here instead of being sent.
  bool may_keep(const Inode& inode, const Caller& caller, const AttributeChange& change) const;
  // REQUIRES: may_keep().
  void keep(const std::shared_ptr<Inode>& inode, const Caller& caller,
            const AttributeChange& change);
  // Whether something is to be sent, or under way: what is sent now could overtake it.
  static bool is_dirty(const Inode& inode);
  // Puts them into the attributes that programs are shown.
  static void show(const Inode& inode, Attributes& shown);
  // Bytes have been stored: a modification time that was set before does not count any more.
  static void stored(Inode& inode);
  // Another request has told the server of `valid` (proto::SetAttrField bits).
  static void superseded(Inode& inode, std::uint32_t valid);

  // Returns when the server has what is dirty, or when that failed. A failure goes to the mapping's
  // errors.
  Task<void> write(std::shared_ptr<Inode> inode);
  // As write(), when another client may change the file next. If an mtime was set and few bytes are
  // dirty, the bytes go first: written later they would overwrite the other client's mtime.
  Task<void> write_for_others(std::shared_ptr<Inode> inode);
  // Once nothing older is under way, what is dirty goes with `request`, a WRITE through `open`. On
  // failure the bytes must not go either.
  Task<Result<CarriedAttributes>> carry(std::shared_ptr<Inode> inode, const ServerOpen& open,
                                        wire::WriteRequestT& request);
  // After a flush: gives the server the mtime of the latest store, if programs have been shown it.
  Task<void> settle_mtime(std::shared_ptr<Inode> inode);
  // The same as write() for all files; EIO when it failed for one of them.
  Task<Status> write_all();
  // All leases have ended: writes all of it in the background.
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
