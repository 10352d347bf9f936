// Leases: what clients may believe of files without asking, and how the server tells them when that
// ends.
//
// A lease is a session's entry in a file's record (inode.h). The server gives it with a reply that
// shows the file's attributes, before it looks at these; the session loses it when another session
// changes the file. The call that changes a file collects the leases that the change ends
// (Recalls): the change is made, the holders are told, and the call is answered once each of them
// has returned its lease or can no longer hold it. So when a change has been answered, no client
// believes the old state; while the change is under way, some clients may already see the new state
// and others not yet.
//
// No other wait is involved: a client returns a lease without asking the server for anything
// (docs/ARCHITECTURE.md).
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

// What a client is told about a file of which it no longer holds a lease.
struct RecalledLease {
  Handle handle;
  std::vector<std::string> names;  // of a directory: the names that have changed
  ChangeCounts counts;
};

// Tells a client. Called from any thread, must not block; drops what it cannot deliver.
class LeaseListener {
 public:
  virtual ~LeaseListener() = default;
  virtual void leases_recalled(std::uint64_t recall, const std::vector<RecalledLease>& leases) = 0;
  virtual void all_leases_recalled() = 0;
};

// Whether an export gives leases at all at present. Thread-safe.
class LeaseGate {
 public:
  // Leases may be given from here on: changes that do not come through this server are noticed.
  void open() { open_ = true; }
  // Somebody changes files on the disk itself: no leases are given for `time`.
  void close_for(std::chrono::milliseconds time) {
    closed_until_ = (std::chrono::steady_clock::now() + time).time_since_epoch().count();
  }
  bool gives_leases() const {
    return open_.load(std::memory_order_relaxed) &&
           std::chrono::steady_clock::now().time_since_epoch().count() >=
               closed_until_.load(std::memory_order_relaxed);
  }

  // How many leases of one export may be held at a time.
  static constexpr std::size_t kMaxLeases = 1 << 18;
  // Takes room for one more lease; false when there is none.
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

// Runs `done` when the last reference goes: when all holders that it waits for have answered.
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

// The leases of one session. All are of the current generation; older ones are void. Thread-safe.
class LeaseHolder : public std::enable_shared_from_this<LeaseHolder> {
 public:
  // `gate` must outlive the holder, or end() must have been called.
  LeaseHolder(std::uint64_t session, LeaseGate& gate) : session_(session), gate_(gate) {}

  std::uint64_t session() const { return session_; }
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  bool may_hold() const {
    return ready_.load(std::memory_order_relaxed) && gate_.gives_leases() && !is_barred();
  }
  // Gives a lease of `inode` and returns its generation, or 0 if none can be given. A lease that is
  // not void ends with drop().
  std::uint64_t give(const std::shared_ptr<Inode>& inode, HandleView handle);
  void drop(std::uint64_t generation, HandleView handle);

  // Starts giving leases to the session, or stops; the session keeps those that it has.
  void set_ready(bool ready);
  // Sets the listener; call before set_ready().
  void listen(std::weak_ptr<LeaseListener> listener) { listener_ = std::move(listener); }

  // Asks the client to return its leases of `generation` on the files `inodes`; holds `wait` until
  // it has.
  void recall(std::uint64_t generation, std::vector<std::shared_ptr<Inode>> inodes,
              const std::vector<RecalledLease>& leases, SteadyTime now, RecallWaitRef wait);
  // The client has returned the leases of one recall. Ignores unknown numbers.
  void returned(std::uint64_t recall);
  // The client gives up a lease that was not recalled. Ignores a handle without a lease.
  void given_up(HandleView handle);
  // The client no longer believes anything that it was told.
  void returned_all();
  // Voids all leases and tells the client so; does nothing when there are none.
  void revoke_all();
  // The session is gone and can hold no leases any more.
  void end();
  // Does revoke_all() and returns true when a recall has been unanswered since before `deadline`.
  // The session then gets no leases for kBarred, because others would wait as long again for the
  // next one.
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
  // The leases of this generation, by a hash of the handle. Of two files with one hash, only one is
  // here.
  std::unordered_map<std::size_t, std::weak_ptr<Inode>> by_handle_;
  std::uint64_t last_recall_ = 0;
  std::unordered_map<std::uint64_t, Recall> unanswered_;
};

using LeaseHolderRef = std::shared_ptr<LeaseHolder>;

// A lease that a change has ended.
struct LostLease {
  LeaseHolderRef holder;
  std::uint64_t generation = 0;
  ChangeCounts counts;  // as counted for the holder's session
};

// The leases that one call has ended. Not thread-safe.
class Recalls {
 public:
  // `names` are the names in the directory `inode` that the change has touched.
  void add(const std::shared_ptr<Inode>& inode, const Handle& handle,
           const std::vector<LostLease>& lost, const std::vector<std::string>& names);
  bool empty() const { return lost_.empty(); }
  // Tells the holders; `done` runs when all have answered, on any thread, possibly at once.
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
