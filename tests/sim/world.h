// World: two clients and a server, which are real except for the wires, the disk and the kernels,
// and one run of a workload in them.
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

// How often things have happened in a run, by name: operations, their failures, faults.
using Counts = std::map<std::string, std::uint64_t>;

struct Outcome {
  std::string wrong;  // empty: all checks have passed
  std::uint64_t steps = 0;
  Counts counts;
  std::vector<std::string> trace;  // empty unless `traced`
};

class World final : private FaultPoints, private StoreObserver {
 public:
  // `seed` is that of the schedule and of the faults' details. `skipped`: the numbers of operations
  // that are left out.
  World(Workload workload, cache::InvalidateMode mode, std::uint64_t seed,
        std::set<std::size_t> skipped, bool traced);
  ~World() override;

  // Runs everything; call it once. A world in which a deadlock was found must not be destroyed,
  // because coroutines still refer to it.
  Outcome run();

 private:
  // When the latest call that has reported a failure to this open file began and ended; at first,
  // when its open did.
  struct Told {
    Moment since = 0;
    Moment at = 0;
    bool once = false;
  };
  // An open file, and which failures were reported to it.
  struct Descriptor {
    PageCache::DescriptionRef description;
    std::shared_ptr<Told> told;  // dups share it
  };
  // When the server has failed calls of a client.
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
    std::optional<TimePoint> troubled_at;      // when its connection was last disturbed
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
  // An error must have a reason. `since`: when the operation began.
  void check_status(const Op& op, int client, const std::string& file, Moment since,
                    const Status& status);
  void check_access(const Op& op, int client, const std::string& file, Reference::View view,
                    const Status& status);
  void check_told(int client, const std::string& file, Moment since, Told& told,
                  const Status& status);
  void synced(int client, const std::string& file, Moment since);
  // A stat that begins now must show changes that were answered before this moment, at any client:
  // its attributes may be `actimeo` old where it has no lease, also of a file of which the server
  // gives none because one is being returned.
  Moment known_to_all() const;
  // The same as a time, without regard to leases that the server has ended.
  TimePoint known_since() const;
  // The server ends leases before their holders can return them.
  void end_leases();
  // The client's connection is disturbed.
  void troubled(int client) {
    clients_[client].troubled_at = scheduler_.clock().now();
    modes_.doubt();
  }
  // A client whose connection was not disturbed must return its leases in time.
  void check_overdue(int client);
  std::vector<Reference::Piece> held(int client, const std::string& file) const;

  // StoreObserver
  void stored(const std::string& file, std::uint64_t offset, std::string_view bytes) override;
  void resized(const std::string& file, std::uint64_t size) override;
  void failed(const std::string& file, Failing what) override;
  // FaultPoints: now and then waits for a while.
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
  std::vector<std::pair<TimePoint, Moment>> answered_;  // when the server answered each call
  Moment restarted_ = 0;                                // when the server last restarted
  bool finished_ = false;
  Outcome outcome_;
};

}  // namespace foliofs::sim
