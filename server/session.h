// Session: what a client keeps when its connection breaks. The session's slots make the server
// execute every request once; its opens hold files open.
//
// A slot goes: idle (sequence n) → busy (n + 1, executing) → idle (n + 1, its reply kept). A
// request with the slot's current sequence is a retry: it gets the kept reply, or waits for the
// request that is still executing. The reply of an idempotent request is not kept; a retry executes
// again.
//
// A Session executes nothing and knows no sockets: replies go to a ReplySink.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/export.h"
#include "server/file_store.h"
#include "server/reply_sink.h"
#include "server/steady_time.h"

namespace foliofs::server {

using SessionId = std::array<std::uint8_t, 16>;

// How many files all sessions together, and each session alone, may hold open. The limits are set
// before the first session begins.
struct OpenBudget {
  std::size_t total = 65536;
  std::size_t per_session = 65536;
  std::atomic<std::size_t> used{0};
};

class Session;

// Counts as one open file from before the file is opened, so that the server never opens or creates
// a file that it then cannot keep open. The destructor gives the reservation back unless
// Session::add_open has used it. Must not outlive the session.
class OpenReservation {
 public:
  OpenReservation() = default;
  OpenReservation(OpenReservation&& other) noexcept
      : session_(std::exchange(other.session_, nullptr)) {}
  OpenReservation& operator=(OpenReservation&& other) noexcept {
    std::swap(session_, other.session_);
    return *this;
  }
  ~OpenReservation();

  explicit operator bool() const { return session_ != nullptr; }

 private:
  friend class Session;
  explicit OpenReservation(Session& session) : session_(&session) {}

  Session* session_ = nullptr;
};

// An open file and its opener: reads and writes are made as the opener.
struct OpenRecord {
  std::shared_ptr<OpenFile> file;
  Identity opener;
};

enum class Admission {
  kExecute,     // execute it: a new request, or a retry of an idempotent one
  kReplay,      // the kept reply answers it
  kWait,        // it is executing already; its reply will come
  kOutOfOrder,  // a client that keeps to the protocol never sends this
  kFenced,      // the session belongs to another connection
};

struct Admitted {
  Admission admission = Admission::kOutOfOrder;
  Outgoing reply;   // with kReplay
  std::string why;  // with kOutOfOrder
};

struct SessionCounters {
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bytes_read{0};
  std::atomic<std::uint64_t> bytes_written{0};
  std::atomic<std::uint64_t> invalidation_writes{0};  // WRITEs that belong to an invalidation
};

// "12 requests, 4096 bytes read, …", for the log.
std::string describe(const SessionCounters& counters);

class Session final : public LockListener, public LeaseListener {
 public:
  // `share` and `budget` must outlive the session. REQUIRES: 1 <= slots <= kMaxSlots.
  Session(SessionId id, std::uint64_t number, const Export& share, bool read_only,
          bool wants_leases, std::uint32_t slots, OpenBudget& budget);

  const SessionId& id() const { return id_; }
  std::uint64_t number() const { return number_; }
  // The export that the session is for.
  const Export& share() const { return share_; }
  bool read_only() const { return read_only_; }
  std::uint32_t slots() const { return static_cast<std::uint32_t>(slots_.size()); }
  SessionCounters& counters() { return counters_; }
  LeaseHolder& leases() const { return *leases_; }
  // Whether the client understands leases.
  bool wants_leases() const { return wants_leases_; }

  // `sink` becomes the session's connection; the previous connection is fenced. False when the
  // session has ended.
  bool attach(const SinkRef& sink);
  // `sink` is gone; if it was the session's connection, the grace period begins.
  void detach(const ReplySink* sink, SteadyTime now);
  // Whether the session has been without a connection for `grace`, or for a few seconds if it never
  // had a request. If so, it accepts no connection from here on, and the caller must end it.
  bool expire(SteadyTime now, std::chrono::milliseconds grace);
  // Since when the session could be given up for another one; nullopt if it has a connection or
  // open files.
  std::optional<SteadyTime> idle_since() const;
  // Like expire(), but without a grace period: true if the session is still idle.
  bool give_up();
  // Ends what other clients may be waiting for, without blocking; no request is admitted any more.
  // The caller must call end() later.
  void release_locks_and_leases();
  // Does the same, and closes every open file, which may block.
  void end();
  // Ends the session: releases its locks and leases at once, so that nobody who waits for them also
  // has to wait for a thread of the pool, and does the rest in the export's pool.
  static void end_in_pool(std::shared_ptr<Session> session);
  bool has_ended() const;

  // The sequence of the last request that each slot has taken.
  std::vector<std::uint32_t> sequences() const;

  // May this request, which came over `sink`, execute?
  Admitted admit(const proto::FrameHeader& header, const SinkRef& sink, bool idempotent);

  // The request in `frame.header.slot` has executed. Keeps the reply unless `idempotent`, and
  // delivers it to the connection that waits for it, if that is still the session's connection.
  void complete(Outgoing frame, bool idempotent);

  // EMFILE when the session holds too many files open, ENFILE when all sessions together do.
  Result<OpenReservation> reserve_open();
  // How many unused opens the client may keep. None unless the export is `sole`: a client that
  // reuses an open without asking does not see a change that was just made on the disk itself.
  std::uint32_t max_idle_opens() const {
    if (!share_.options.sole) return 0;
    return static_cast<std::uint32_t>(std::min<std::size_t>(budget_.per_session / 8, 16384));
  }
  // The id under which the session holds `file` open: unguessable, never 0. REQUIRES: `reservation`
  // belongs to this session.
  std::uint64_t add_open(OpenReservation reservation, std::shared_ptr<OpenFile> file,
                         Identity opener);
  // EBADF when there is no such open.
  Result<OpenRecord> find_open(std::uint64_t id) const;
  Result<OpenRecord> take_open(std::uint64_t id);
  // Runs `work` unless the session has `file` open. The session adds no open meanwhile, so `work`
  // cannot take anything away from a new open of the file. `work` must not open or close anything.
  template <class Work>
  void unless_open(const FileId& file, Work work) {
    std::lock_guard lock(opening_);
    if (!has_open(file)) work();
  }

  // Tells the client, if it is connected. Otherwise the client asks when it comes back.
  void lock_granted(std::uint64_t waiter) override;
  // Asks the client to close the opens that it does not use. Does nothing if the client may keep
  // none.
  void ask_for_idle_opens();
  // Like lock_granted(), but for leases. A client that comes back returns all leases that it had.
  void leases_recalled(std::uint64_t recall, const std::vector<RecalledLease>& leases) override;
  void all_leases_recalled() override;

 private:
  struct Slot {
    std::uint32_t sequence = 0;
    bool busy = false;
    bool rerouted = false;  // while busy: a retry over another connection waits
    proto::MessageType type{};
    std::uint64_t request_id = 0;
    std::weak_ptr<ReplySink> waiting;  // while busy
    SharedMeta kept;                   // null: idempotent, or no request has executed yet
    std::uint16_t kept_flags = 0;
  };

  Admitted admit_retry(Slot& slot, const proto::FrameHeader& header, const SinkRef& sink,
                       bool idempotent);
  friend class OpenReservation;
  bool has_open(const FileId& file) const;
  void release_reservation();
  void notify(proto::MessageType type, proto::MetaBuffer meta);
  static void occupy(Slot& slot, const proto::FrameHeader& header, const SinkRef& sink);

  const SessionId id_;
  const std::uint64_t number_;
  const Export& share_;
  const bool read_only_;
  const bool wants_leases_;
  OpenBudget& budget_;
  const LeaseHolderRef leases_;
  SessionCounters counters_;

  std::mutex opening_;        // held while an open is added; taken before mutex_
  mutable std::mutex mutex_;  // guards what follows
  bool ended_ = false;
  bool used_ = false;  // has had a request
  bool had_connection_ = false;
  SinkRef sink_;  // the session's connection, if it has one
  SteadyTime disconnected_at_ = std::chrono::steady_clock::now();
  std::vector<Slot> slots_;
  std::uint64_t next_open_;
  std::unordered_map<std::uint64_t, OpenRecord> opens_;
  std::size_t reserved_opens_ = 0;  // opens_ and the reservations for more
};

inline OpenReservation::~OpenReservation() {
  if (session_ != nullptr) session_->release_reservation();
}

}  // namespace foliofs::server
