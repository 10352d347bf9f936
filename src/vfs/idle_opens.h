// IdleOpens: opens at the server through which files were read and that nobody uses any more, kept
// for the next open of the file.
//
// While this client holds the lease of a file, it hears of any change to the file, or to who may
// open it, before that change is answered. So the server would permit again what it has permitted,
// and the same caller gets the same open without a round trip, as often as he likes. It is a real
// open: if the file loses its last name meanwhile, the open keeps the bytes. It is closed when the
// lease goes, when this client changes or removes the file, and when others need the room.
#pragma once

#include <boost/multi_index/hashed_index.hpp>
#include <boost/multi_index/member.hpp>
#include <boost/multi_index/sequenced_index.hpp>
#include <boost/multi_index_container.hpp>
#include <memory>

#include "foliofs/base/clock.h"
#include "foliofs/base/result.h"
#include "foliofs/base/task.h"
#include "foliofs/vfs/operations.h"

namespace foliofs::vfs {

class MountCore;
struct Inode;
struct ServerOpen;

class IdleOpens {
 public:
  explicit IdleOpens(MountCore& core) : core_(core) {}
  IdleOpens(const IdleOpens&) = delete;
  IdleOpens& operator=(const IdleOpens&) = delete;

  // Nobody uses this open of the file any more. False when it is not kept: the caller must close
  // it.
  bool keep(const Inode& inode, const std::shared_ptr<ServerOpen>& open);
  // An open that the server has given with these flags of open(2) and would give to the same opener
  // again; nullptr when there is none.
  const ServerOpen* find(const Inode& inode, int flags) const;
  // Takes the file's open out of here. REQUIRES: there is one.
  std::shared_ptr<ServerOpen> take(const Inode& inode);
  // Closes the file's open, if there is one, in the background, and as a rule before the next
  // request reaches the server.
  void close(const Inode& inode);
  void close_all();
  // The server has refused an open with `error`. True if that was for want of room and there may be
  // some now: the opens kept here have been closed, or else the server has had time to ask other
  // clients for theirs.
  Task<bool> make_room(Errno error);
  std::size_t size() const { return idle_.size(); }

 private:
  // Where there is no room, an open that was kept for so long goes for a new one. Younger ones
  // stay: otherwise a program that reads more files than there is room for, one after the other and
  // again, would find none of them.
  static constexpr Duration kLong = std::chrono::seconds(10);

  struct Idle {
    NodeId node = 0;
    std::shared_ptr<ServerOpen> open;
    TimePoint since{};
  };
  using ByNode =
      boost::multi_index::hashed_unique<boost::multi_index::member<Idle, NodeId, &Idle::node>>;
  using ByAge = boost::multi_index::sequenced<>;  // kept longest first

  bool is_still_permitted(const Inode& inode, const ServerOpen& open) const;

  MountCore& core_;
  boost::multi_index_container<Idle, boost::multi_index::indexed_by<ByNode, ByAge>> idle_;
};

}  // namespace foliofs::vfs
