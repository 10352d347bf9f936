// World: two clients and a server, real but for the wire, the disk and the kernels, and one run of
// a workload in them.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "foliofs/rpc/session.h"
#include "foliofs/vfs/mount.h"
#include "tests/sim/mode_reference.h"
#include "tests/sim/page_cache.h"
#include "tests/sim/reference.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/server.h"
#include "tests/sim/wait_graph.h"
#include "tests/sim/workload.h"

namespace foliofs::vfs {
struct Inode;
}

namespace foliofs::sim {

// What has happened in runs: operations that succeeded, failures of the store.
using Counts = std::map<std::string, std::uint64_t>;

struct Outcome {
  std::string wrong;  // empty: all held
  std::uint64_t steps = 0;
  Counts counts;
  std::vector<std::string> trace;  // when it was asked for
};

class World final : private FaultPoints, private StoreObserver {
 public:
  // `seed` is that of the schedule and the faults' details. `skipped`: operations, by number, that
  // are left out.
  World(Workload workload, cache::InvalidateMode mode, std::uint64_t seed,
        std::set<std::size_t> skipped, bool traced);
  ~World() override;

  // Runs everything, once. A world in which a deadlock was found must not be destroyed: coroutines
  // still refer to it.
  Outcome run();

 private:
  // When the latest call that told a holder of failures began and ended, or his open.
  struct Told {
    Moment since = 0;
    Moment at = 0;
    bool once = false;
  };
  // An open file with what its holder was told of failures.
  struct Descriptor {
    PageCache::DescriptionRef description;
    std::shared_ptr<Told> told;  // dups share it
  };
  // When the server has refused a client's calls.
  struct Failures {
    std::vector<Moment> writes;
    Moment read = 0;  // the latest
    Moment change = 0;
  };
  struct Program {
    std::optional<Descriptor> slots[kSlots];
    std::optional<Descriptor> mapping;
  };
  struct Client {
    std::unique_ptr<rpc::Connector> connector;
    std::unique_ptr<rpc::Session> session;
    std::unique_ptr<PageCache> kernel;
    std::unique_ptr<vfs::Mount> mount;
    std::map<std::string, std::shared_ptr<vfs::Inode>> inodes;
    std::map<std::string, Failures> failures;  // by file
    std::optional<TimePoint> troubled_at;      // last
  };

  // The run, from mounting to unmounting.
  Task<void> set_up();
  Task<void> start_client(int index);
  Task<void> run_actor(int actor);
  Task<void> finish();
  Task<void> close_all(int actor);
  bool drive(const bool& done);

  // One operation.
  Task<void> run_op(const Op& op);
  Task<void> call(const Op& op, int client, Descriptor& descriptor);
  Task<void> open(const Op& op, int client, Program& program);
  Task<void> stat(const Op& op, int client);
  Task<void> read(const Op& op, int client, Descriptor& descriptor);
  Task<void> write(const Op& op, int client, Descriptor& descriptor);
  Task<void> store(const Op& op, int client, Descriptor& descriptor);
  Task<void> truncate(const Op& op, int client, Descriptor& descriptor);
  Task<void> chmod(const Op& op, int client, Descriptor& descriptor);
  Task<void> sync(const Op& op, int client, Descriptor& descriptor, bool close);
  Task<void> invalidate(const Op& op, int client);
  Task<void> make_trouble(const Op& op);

  // What is checked.
  void fail(std::string what);
  void check(const std::string& wrong);
  void check_file(const std::string& file);
  // `since`: when the operation began.
  void check_status(const Op& op, int client, const std::string& file, Moment since,
                    const Status& status);
  void check_access(const Op& op, int client, const std::string& file, Reference::View view,
                    const Status& status);
  void check_told(int client, const std::string& file, Moment since, Told& told,
                  const Status& status);
  void synced(int client, const std::string& file, Moment since);
  // Every client knows of changes that were answered before this moment, if it looks now: what it
  // says may be `actimeo` old where it has no lease, and with one as long as the server gives none
  // because it is being returned.
  Moment known_to_all() const;
  // When that was: what was answered by then is known.
  TimePoint known_since() const;
  // The server has ended leases before their holders could return them.
  void end_leases();
  // The client's connection is disturbed.
  void troubled(int client) {
    clients_[client].troubled_at = scheduler_.clock().now();
    modes_.doubt();
  }
  // A client that hears the server returns its leases in time.
  void check_overdue(int client);
  std::vector<Reference::Piece> held(int client, const std::string& file) const;

  // StoreObserver
  void stored(const std::string& file, std::uint64_t offset, std::string_view bytes) override;
  void resized(const std::string& file, std::uint64_t size) override;
  void failed(const std::string& file, Failing what) override;
  // FaultPoints: waits for nothing, or a moment, or a while.
  Task<void> reach(FaultPoint point) override;

  void trace(std::string line);
  std::string who(const Op& op) const;

  const Workload workload_;
  const cache::InvalidateMode mode_;
  const std::set<std::size_t> skipped_;
  const bool traced_;
  Scheduler scheduler_;
  Random faults_;
  Reference reference_;
  ModeReference modes_;
  WaitGraph graph_;
  std::unique_ptr<SimServer> server_;
  Client clients_[Reference::kClients];
  std::vector<Program> programs_;
  std::uint64_t ops_done_ = 0;
  std::size_t actors_running_ = 0;
  struct LeasesEnded {
    Moment since = 0;
    TimePoint last;
  };
  std::optional<LeasesEnded> leases_ended_;
  std::vector<std::pair<TimePoint, Moment>> answered_;  // calls of the server
  Moment restarted_ = 0;                                // the server, last
  bool finished_ = false;
  Outcome outcome_;
};

}  // namespace foliofs::sim
