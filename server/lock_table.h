// LockTable: the locks that sessions hold on the files of one export, and who waits for which.
//
// Two kinds, which do not see each other, as on Linux: those of fcntl(2), of bytes, and those of
// flock(2), of the whole file. A lock belongs to an owner of a session; what it means to have two
// of them is fcntl(2)'s and flock(2)'s business and is done here as Linux does it. In particular a
// request is granted when no *held* lock is in its way, even if others wait; of those who wait, who
// came first is tried first.
//
// A waiter: waiting → granted → forgotten, once its session has asked again and so knows. It can be
// cancelled until then. When one is granted its session is told (LockListener).
//
// In memory only: a server that ends has forgotten all locks. So that their holders can take them
// again before anybody else does, nobody else gets one for some seconds after the start, if a
// client has come back from an earlier run.
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

// Whom to tell that a waiter has been granted its lock. Called from any thread, without the table's
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

// The lock that an owner asks for, asks about, or gives back.
struct LockRequest {
  FileId file;
  LockKind kind = LockKind::kBytes;
  LockOwner owner;
  LockRange range;  // of kWholeFile only the type counts
  std::uint32_t pid = 0;
};

struct LockLimits {
  std::size_t locks_per_session = 65536;
  std::size_t waiters_per_session = 4096;
  // How long after the start only what was held before is granted.
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

  // True: the owner has the lock. False: `waiter` (not 0) waits for it; or it did before, and this
  // tells how it stands. Errors: EAGAIN when it conflicts and `waiter` is 0; EDEADLK; ENOLCK when
  // the session has too many; EINPROGRESS while only reclaims are granted. `reclaim`: an earlier
  // session of this client's held it.
  Result<bool> lock(const LockRequest& request, std::uint64_t waiter, bool reclaim,
                    std::weak_ptr<LockListener> listener);
  void unlock(const LockRequest& request);
  // What another owner has that is in the way; nullopt when nothing is.
  std::optional<HeldLock> test(const LockRequest& request) const;
  // Waits no more, or gives back what it was granted (and restores nothing).
  void cancel(std::uint64_t session, std::uint64_t waiter);

  // Whether the session may have a lock of this file, or wait for one.
  bool concerns(std::uint64_t session, const FileId& file) const;
  // The session has the file open no more; or is no more.
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
    std::uint32_t pid = 0;  // that took the latest
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

  // The rest is called with the mutex held, but for tell().

  static Held& held_of(FileLocks& file, LockKind kind) {
    return file.held[static_cast<std::size_t>(kind)];
  }
  static const Held& held_of(const FileLocks& file, LockKind kind) {
    return file.held[static_cast<std::size_t>(kind)];
  }
  static std::optional<HeldLock> conflict(const FileLocks& file, const LockRequest& request);
  // What lock() does.
  Result<bool> grant_or_enqueue(const LockRequest& request, std::uint64_t waiter, bool reclaim,
                                std::weak_ptr<LockListener> listener, Notices& notices);
  // False: `waiter` waits from here on.
  Result<bool> enqueue(FileLocks& file, const LockRequest& request, std::uint64_t waiter,
                       std::weak_ptr<LockListener> listener);
  // Whether `request` would wait for ever: whom it waits for waits for its owner in the end.
  bool deadlocks(const LockRequest& request) const;
  void grant(FileLocks& file, const LockRequest& request);
  void release(FileLocks& file, const LockRequest& request);
  // After bytes have become free.
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
  // Owners that wait for bytes, each with all that they wait for: what a deadlock is made of.
  std::multimap<LockOwner, const Waiter*> waiting_owners_;
};

}  // namespace foliofs::server
