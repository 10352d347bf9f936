// Inode: what the server knows about one file: who has changed it, and who has leases of it
// (leases.h).
//
// It counts how often the file's content or attributes changed, and how many of these changes each
// session made itself; Attributes::foreign_changes is computed from that. A change made through the
// server is bracketed by begin_change and end_change. A change made directly on the disk shows as a
// stamp that no change through the server has left. Two limits: a change on the disk that is made
// while a change of the same file through the server runs counts as part of the latter; and one
// within the granularity of the filesystem's timestamps that keeps the size is not seen.
//
// Knows nothing of descriptors: callers pass in how to look at the file.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "server/change_counts.h"
#include "server/leases.h"

namespace foliofs::server {

// One file's history. Thread-safe. `look` is called with the lock held, so that what it sees cannot
// be older than what was recorded last; it must not block for long.
class Inode : public std::enable_shared_from_this<Inode> {
 public:
  explicit Inode(std::uint64_t epoch) : epoch_(epoch) {}
  ~Inode();

  // For a reply to `session` that shows `seen`. Looks again when `seen` is not the recorded stamp.
  template <class Look>
  ChangeCounts observe(std::uint64_t session, ChangeStamp seen, Look look) {
    std::lock_guard lock(mutex_);
    reconcile(seen, look);
    return counts(session);
  }

  template <class Look>
  void begin_change(Look look) {
    std::lock_guard lock(mutex_);
    if (active_changes_++ == 0) reconcile_outside_changes(look(), look);
  }

  // With `changed` false the operation has failed; it still counts if it has left a trace. Adds the
  // leases of other sessions that the change ends to `lost`.
  template <class Look>
  ChangeCounts end_change(std::uint64_t session, bool changed, Look look,
                          std::vector<LostLease>& lost) {
    std::lock_guard lock(mutex_);
    const ChangeStamp now = look();
    if (changed || now != last_seen_) {
      count_own(session);
      take_leases(session, lost);
    }
    last_seen_ = now;
    --active_changes_;
    return counts(session);
  }

  // What `look` says of the file's extended attributes, on a filesystem where every change of them
  // moves ctime. Remembers the answer for a ctime only if this is so old that the next change is
  // certain to move it: timestamps move in steps of up to a second.
  template <class Look>
  std::uint32_t xattr_flags(std::int64_t ctime_ns, std::int64_t now_ns, Look look) {
    constexpr std::int64_t kOldNs = 2'000'000'000;
    std::lock_guard lock(mutex_);
    if (xattr_flags_of_ == ctime_ns) return xattr_flags_;
    const std::uint32_t flags = look();
    if (now_ns - ctime_ns > kOldNs) {
      xattr_flags_of_ = ctime_ns;
      xattr_flags_ = flags;
    }
    return flags;
  }

  // Gives `holder` a lease of the file, if possible, and returns whether it has one; `handle` is
  // how the client knows the file. False while an earlier lease of the holder is being recalled.
  bool lease_to(LeaseHolder& holder, HandleView handle);
  bool is_leased_to(const LeaseHolder& holder) const;
  // A client that returns a lease of a directory goes on believing the names that it has seen
  // there, except those that have changed. So the lease stays, and the client is told of the next
  // changes too.
  void keep_returned_leases() {
    std::lock_guard lock(mutex_);
    keeps_returned_ = true;
  }
  // The holder has answered one recall of its lease of `generation`.
  void lease_returned(const LeaseHolder& holder, std::uint64_t generation);
  // The holder no longer needs its lease of `generation`, which was not recalled.
  void lease_given_up(const LeaseHolder& holder, std::uint64_t generation, HandleView handle);
  // From here on no other session may look at the file before this lease has been recalled. False,
  // and nothing happens, when `holder` has no lease or is not the only one that has.
  bool make_exclusive(const LeaseHolder& holder);
  void end_exclusive(const LeaseHolder& holder);
  // Whether a session other than this one has an exclusive lease.
  bool is_kept_from(std::uint64_t session) const;
  // Recalls that lease: adds it to `lost`.
  void take_exclusive(std::uint64_t session, std::vector<LostLease>& lost);
  // Whether any session has a lease that is not void.
  bool is_leased();
  // The handle by which leaseholders know the file; empty when there were none.
  Handle leased_handle() const;

 private:
  // A new stamp that appears while a change through the server runs is due to that change, which
  // will count it.
  template <class Look>
  void reconcile(ChangeStamp seen, Look look) {
    if (active_changes_ == 0) reconcile_outside_changes(seen, look);
  }

  template <class Look>
  void reconcile_outside_changes(ChangeStamp seen, Look look) {
    if (!known_) {
      known_ = true;
      last_seen_ = seen;
    }
    if (seen == last_seen_) return;
    seen = look();
    if (seen == last_seen_) return;
    ++total_;
    last_seen_ = seen;
  }

  struct Lease {
    LeaseHolderRef holder;
    std::uint64_t generation = 0;
    std::uint32_t recalls = 0;  // unanswered
    bool exclusive = false;
    bool is_void() const { return generation != holder->generation(); }
    bool keeps_from(std::uint64_t session) const {
      return exclusive && !is_void() && holder->session() != session;
    }
  };

  void drop_void_leases();
  // Whether leaseholders know the file by `handle`.
  bool is_known_by(HandleView handle) const;
  void recall(Lease& lease, std::vector<LostLease>& lost) const;
  void take_leases(std::uint64_t changer, std::vector<LostLease>& lost);
  void count_own(std::uint64_t session);
  ChangeCounts counts(std::uint64_t session) const;

  struct Own {
    std::uint64_t session;
    std::uint64_t changes;
  };
  // Beyond this many sessions, the one that wrote longest ago is forgotten; it then takes its own
  // changes for foreign ones, once.
  static constexpr std::size_t kMaxOwners = 32;

  const std::uint64_t epoch_;  // of this record: random, never 0
  mutable std::mutex mutex_;   // guards what follows
  bool known_ = false;
  ChangeStamp last_seen_;
  std::uint64_t total_ = 0;
  std::uint32_t active_changes_ = 0;
  std::optional<std::int64_t> xattr_flags_of_;  // the ctime that xattr_flags_ is for
  std::uint32_t xattr_flags_ = 0;
  boost::container::small_vector<Own, 2> own_;  // in order of the last change
  std::vector<Lease> leases_;
  bool keeps_returned_ = false;
  std::vector<std::uint8_t> handle_;
};

}  // namespace foliofs::server
