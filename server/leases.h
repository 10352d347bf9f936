// Leases: what sessions believe of files without asking, and how they are told when it ends.
//
// A lease is a session's entry in a file's record (inode.h). It is given with a reply that
// shows the file's attributes, before these are looked at, and lost by a change that another
// session makes. Whoever changes a file collects the leases that this ends (Recalls); the change is
// made, the holders are told, and its maker gets his answer once all of them have returned theirs
// or can hold them no longer. So nobody believes the old state when a change has been answered;
// while it is under way some may see it already, and others not yet.
//
// Nobody waits for anything else on the way: a client returns a lease without asking the server
// for anything (docs/ARCHITECTURE.md).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/change_counts.h"
#include "server/file_handle.h"
#include "server/steady_time.h"

namespace foliofs::server {

class Inode;
class LeaseHolder;

// What a client is told of a file that it holds a lease of no more.
struct RecalledLease {
  Handle handle;
  std::vector<std::string> names;  // of a directory: those that have changed
  ChangeCounts counts;
};

// Tells a client. Called from any thread, must not block; what cannot be told is dropped.
class LeaseListener {
 public:
  virtual ~LeaseListener() = default;
  virtual void leases_recalled(std::uint64_t recall, const std::vector<RecalledLease>& leases) = 0;
  virtual void all_leases_recalled() = 0;
};

// Whether an export gives leases at all, now. Thread-safe.
class LeaseGate {
 public:
  // Leases may be given: changes that do not come through this server are noticed.
  void open() { open_ = true; }
  // Somebody changes files on the disk itself: none are given for so long.
  void close_for(std::chrono::milliseconds time) {
    closed_until_ = (std::chrono::steady_clock::now() + time).time_since_epoch().count();
  }
  bool gives_leases() const {
    return open_.load(std::memory_order_relaxed) &&
           std::chrono::steady_clock::now().time_since_epoch().count() >=
               closed_until_.load(std::memory_order_relaxed);
  }

  // How many leases of one export may be held.
  static constexpr std::size_t kMaxLeases = 1 << 18;
  // Room for one of them; false when there is none.
  bool take_room() {
    if (held_.fetch_add(1) < kMaxLeases) return true;
    --held_;
    return false;
  }
  void give_back_room(std::size_t leases) { held_ -= leases; }
  std::size_t held() const { return held_; }

 private:
  std::atomic<std::size_t> held_ = 0;
  std::atomic<bool> open_ = false;
  std::atomic<SteadyTime::rep> closed_until_ = 0;
};

// Runs `done` when everybody has answered whom it was asked to wait for.
class RecallWait {
 public:
  explicit RecallWait(std::function<void()> done) : done_(std::move(done)) {}
  ~RecallWait() { done_(); }
  RecallWait(const RecallWait&) = delete;
  RecallWait& operator=(const RecallWait&) = delete;

 private:
  const std::function<void()> done_;
};

using RecallWaitRef = std::shared_ptr<RecallWait>;

// The leases of one session, all of one generation: those of an earlier one are void. Thread-safe.
class LeaseHolder : public std::enable_shared_from_this<LeaseHolder> {
 public:
  // `gate` must outlive the holder, or end().
  LeaseHolder(std::uint64_t session, LeaseGate& gate) : session_(session), gate_(gate) {}

  std::uint64_t session() const { return session_; }
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  bool may_hold() const {
    return ready_.load(std::memory_order_relaxed) && gate_.gives_leases() && !is_barred();
  }
  // A lease of `inode`, of the generation returned; 0: there is none to be had. Not void it goes by
  // drop().
  std::uint64_t give(const std::shared_ptr<Inode>& inode, HandleView handle);
  void drop(std::uint64_t generation, HandleView handle);

  // Begins to give leases to the session, or leaves off; those that it has stay.
  void set_ready(bool ready);
  // Whom to tell; before set_ready().
  void listen(std::weak_ptr<LeaseListener> listener) { listener_ = std::move(listener); }

  // Asks for leases of `generation` back, of the files `inodes`; `wait` is held until they are
  // here.
  void recall(std::uint64_t generation, std::vector<std::shared_ptr<Inode>> inodes,
              const std::vector<RecalledLease>& leases, SteadyTime now, RecallWaitRef wait);
  // The client has returned those of one recall. Ignores numbers that it does not know.
  void returned(std::uint64_t recall);
  // The client gives up a lease that nobody has asked back. Ignores what is none.
  void given_up(HandleView handle);
  // The client believes nothing any more, whatever it was told.
  void returned_all();
  // They are void, and the client is told so; nothing when there are none.
  void revoke_all();
  // Nobody is there any more to hold leases.
  void end();
  // As revoke_all() when a recall has gone unanswered since before `deadline`. True if so. The
  // session then gets none for kBarred: others would wait as long again for the next one.
  bool revoke_overdue(SteadyTime deadline);
  static constexpr std::chrono::seconds kBarred{60};

 private:
  bool is_barred() const {
    const SteadyTime::rep until = barred_until_.load(std::memory_order_relaxed);
    return until != 0 && std::chrono::steady_clock::now().time_since_epoch().count() < until;
  }

  struct Recall {
    std::uint64_t generation;
    std::vector<std::shared_ptr<Inode>> inodes;
    SteadyTime since;
    RecallWaitRef wait;
  };

  const std::uint64_t session_;
  LeaseGate& gate_;
  std::weak_ptr<LeaseListener> listener_;
  std::atomic<std::uint64_t> generation_{1};
  std::atomic<bool> ready_ = false;
  std::atomic<SteadyTime::rep> barred_until_ = 0;
  std::mutex mutex_;  // guards what follows; taken after that of an inode
  bool ended_ = false;
  std::size_t held_ = 0;  // of this generation
  // Those of this generation, by a hash of the handle. Of two files with the same one is there.
  std::unordered_map<std::size_t, std::weak_ptr<Inode>> by_handle_;
  std::uint64_t last_recall_ = 0;
  std::unordered_map<std::uint64_t, Recall> unanswered_;
};

using LeaseHolderRef = std::shared_ptr<LeaseHolder>;

// A lease that a change has ended.
struct LostLease {
  LeaseHolderRef holder;
  std::uint64_t generation = 0;
  ChangeCounts counts;  // as the holder's session counts
};

// The leases that one call has ended. Not thread-safe.
class Recalls {
 public:
  // `names` are those that the change has touched in `inode`, a directory.
  void add(const std::shared_ptr<Inode>& inode, const Handle& handle,
           const std::vector<LostLease>& lost, const std::vector<std::string>& names);
  bool empty() const { return lost_.empty(); }
  // Tells the holders; `done` runs when all have answered, on any thread, perhaps at once.
  void send(SteadyTime now, std::function<void()> done);

 private:
  struct Item {
    LostLease lease;
    std::shared_ptr<Inode> inode;
    RecalledLease told;
  };
  std::vector<Item> lost_;
};

}  // namespace foliofs::server
