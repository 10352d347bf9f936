// LockTable: the locks that sessions hold on the files of one export, and which requests wait.
//
// There are two kinds, which do not affect each other, as on Linux: the byte-range locks of
// fcntl(2) and the whole-file locks of flock(2). A lock belongs to an owner of a session; what
// happens when one owner locks twice follows fcntl(2) and flock(2) as Linux implements them. In
// particular, a request is granted when no *held* lock conflicts with it, even if other requests
// wait; waiting requests are tried in the order in which they came.
//
// A waiter goes: waiting → granted → forgotten, the last once its session has asked again and so
// knows. It can be cancelled until then. When a waiter is granted its lock, its session is told
// (LockListener).
//
// The table is in memory only: a server that ends forgets all locks. If a client has come back from
// an earlier run, only reclaims are granted for some seconds after the start, so that the holders
// of the old locks can take them again before anybody else does.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "foliofs/base/lock_ranges.h"
#include "foliofs/base/result.h"
#include "server/file_id.h"

namespace foliofs::server {

// Is told when a waiter has been granted its lock. Called from any thread, without the table's
// mutex held.
class LockListener {
 public:
  virtual ~LockListener() = default;
  virtual void lock_granted(std::uint64_t waiter) = 0;
};

enum class LockKind : std::uint8_t { kBytes, kWholeFile };

struct LockOwner {
  std::uint64_t session = 0;
  std::uint64_t id = 0;  // unique in the session
  friend auto operator<=>(const LockOwner&, const LockOwner&) = default;
};

// A lock that an owner takes, tests or releases.
struct LockRequest {
  FileId file;
  LockKind kind = LockKind::kBytes;
  LockOwner owner;
  LockRange range;  // for kWholeFile only the type counts
  std::uint32_t pid = 0;
};

struct LockLimits {
  std::size_t locks_per_session = 65536;
  std::size_t waiters_per_session = 4096;
  // How long after the start only reclaims are granted.
  std::chrono::milliseconds reclaim_time{5'000};
};

struct HeldLock {
  LockRange range;
  std::uint32_t pid = 0;
};

// Thread-safe.
class LockTable {
 public:
  explicit LockTable(LockLimits limits = {});

  // True: the owner has the lock. False: `waiter` (not 0) waits for it. For a waiter that the table
  // already knows, the call tells how it stands. Errors: EAGAIN on a conflict when `waiter` is 0;
  // EDEADLK; ENOLCK when the session has too many; EINPROGRESS while only reclaims are granted.
  // `reclaim`: an earlier session of this client held the lock.
  Result<bool> lock(const LockRequest& request, std::uint64_t waiter, bool reclaim,
                    std::weak_ptr<LockListener> listener);
  void unlock(const LockRequest& request);
  // A conflicting lock of another owner; nullopt when there is none.
  std::optional<HeldLock> test(const LockRequest& request) const;
  // Stops the wait, or releases what was granted (and restores nothing that it replaced).
  void cancel(std::uint64_t session, std::uint64_t waiter);

  // Whether the session may hold a lock of this file, or wait for one.
  bool concerns(std::uint64_t session, const FileId& file) const;
  // Drop the locks and waiters of a session: on a file that it has closed; all, when it has ended.
  void drop(std::uint64_t session, const FileId& file);
  void end_session(std::uint64_t session);

  // A client has come back from an earlier run: it may have held locks.
  void expect_reclaims();

 private:
  struct Waiter {
    LockRequest request;
    std::uint64_t id = 0;
    bool granted = false;
    std::weak_ptr<LockListener> listener;
  };
  struct OwnerLocks {
    LockRanges ranges;
    std::uint32_t pid = 0;  // of the process that took the latest lock
  };
  using Held = std::map<LockOwner, OwnerLocks>;
  struct FileLocks {
    std::array<Held, 2> held;    // by LockKind
    std::list<Waiter*> waiting;  // first come first
    bool idle() const { return held[0].empty() && held[1].empty() && waiting.empty(); }
  };
  struct SessionLocks {
    std::size_t locks = 0;  // pieces held
    std::map<std::uint64_t, Waiter> waiters;
    std::unordered_set<FileId, FileIdHash> files;
  };
  struct Notice {
    std::weak_ptr<LockListener> listener;
    std::uint64_t waiter;
  };
  using Notices = std::vector<Notice>;

  // The functions below are called with the mutex held, except tell().

  static Held& held_of(FileLocks& file, LockKind kind) {
    return file.held[static_cast<std::size_t>(kind)];
  }
  static const Held& held_of(const FileLocks& file, LockKind kind) {
    return file.held[static_cast<std::size_t>(kind)];
  }
  static std::optional<HeldLock> conflict(const FileLocks& file, const LockRequest& request);
  // The body of lock().
  Result<bool> grant_or_enqueue(const LockRequest& request, std::uint64_t waiter, bool reclaim,
                                std::weak_ptr<LockListener> listener, Notices& notices);
  // False: `waiter` is waiting from here on.
  Result<bool> enqueue(FileLocks& file, const LockRequest& request, std::uint64_t waiter,
                       std::weak_ptr<LockListener> listener);
  // Whether `request` would wait for ever, because those that it waits for wait for its owner in
  // the end.
  bool deadlocks(const LockRequest& request) const;
  void grant(FileLocks& file, const LockRequest& request);
  void release(FileLocks& file, const LockRequest& request);
  // To be called after locks have been released or downgraded.
  void serve_waiting(FileLocks& file, Notices& notices);
  void stop_waiting(FileLocks& file, const Waiter& waiter);
  void drop_file(SessionLocks& session, std::uint64_t number, const FileId& id, Notices& notices);
  void forget_if_idle(const FileId& id);
  static void tell(const Notices& notices);

  const LockLimits limits_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;  // guards what follows
  bool expects_reclaims_ = false;
  std::unordered_map<FileId, FileLocks, FileIdHash> files_;
  std::unordered_map<std::uint64_t, SessionLocks> sessions_;
  // The owners that wait for byte ranges, each with everything that it waits for; for deadlock
  // detection.
  std::multimap<LockOwner, const Waiter*> waiting_owners_;
};

}  // namespace foliofs::server
