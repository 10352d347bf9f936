// A run, from mounting to unmounting, and the checks made during it.
#include "tests/sim/world.h"

#include <fmt/format.h>

#include "foliofs/base/limits.h"
#include "src/cache/folio_mapping.h"
#include "src/vfs/inode.h"

namespace foliofs::sim {

namespace {

constexpr std::uint64_t kFaultStream = 3;
// A run in which no operation ends for this long stands still: every timeout is over by then.
constexpr Duration kStandstill = std::chrono::minutes(20);
// The same in steps, for a run that loops; a whole run takes about a thousand steps.
constexpr std::uint64_t kBusyStandstill = 1'000'000;

constexpr Lane core_lane(int client) {
  return client == 0 ? Lane::kClientA : Lane::kClientB;
}
constexpr Lane program_lane(int client) {
  return client == 0 ? Lane::kProgramsA : Lane::kProgramsB;
}

}  // namespace

World::World(Workload workload, cache::InvalidateMode mode, std::uint64_t seed,
             std::set<std::size_t> skipped, bool traced)
    : workload_(std::move(workload)),
      mode_(mode),
      skipped_(std::move(skipped)),
      traced_(traced),
      scheduler_(seed),
      faults_(seed, kFaultStream),
      programs_(workload_.actors.size()) {
  StoreObserver& observer = *this;
  auto store = std::make_unique<MemoryStore>(scheduler_.clock(), faults_, observer);
  for (const auto& [name, size] : workload_.files) {
    store->add(name, std::string(size, '\0'));
    reference_.begin_file(name, size);
  }
  server_ = std::make_unique<SimServer>(scheduler_.executor(Lane::kServer), scheduler_.clock(),
                                        faults_, std::move(store));
  server_->slowness = Duration(workload_.slowness_us);
  server_->on_answered = [this](std::uint64_t call) {
    answered_.emplace_back(scheduler_.clock().now(), reference_.answered(call));
  };
  server_->on_recall = [this](int client) {
    trace(fmt::format("server: {} waits for leases of others", static_cast<char>('A' + client)));
    ++outcome_.counts["recall"];
  };
  server_->on_overdue = [this](int client) {
    check_overdue(1 - client);
  };
}

World::~World() = default;

// --- The run ------------------------------------------------------------------------------------

Outcome World::run() {
  spawn(scheduler_.executor(Lane::kServer), "run", set_up());
  const bool ended = drive(finished_);
  if (!ended) fail("standstill\n" + graph_.describe());
  outcome_.steps = scheduler_.steps();
  if (ended) {
    for (Client& client : clients_) {
      client.inodes.clear();
      client.mount.reset();
      client.session.reset();
    }
    // Cancelled alarms, and connections that end.
    while (scheduler_.step()) continue;
  }
  return std::move(outcome_);
}

// Runs until `done`. False when the run stands still before that.
bool World::drive(const bool& done) {
  std::uint64_t seen = ops_done_;
  TimePoint since = scheduler_.clock().now();
  std::uint64_t steps = scheduler_.steps();
  while (!done) {
    if (!scheduler_.step()) return false;
    if (ops_done_ != seen) {
      seen = ops_done_;
      since = scheduler_.clock().now();
      steps = scheduler_.steps();
    }
    if (scheduler_.clock().now() - since > kStandstill) return false;
    if (scheduler_.steps() - steps > kBusyStandstill) return false;
  }
  return true;
}

Task<void> World::set_up() {
  for (int client = 0; client < Reference::kClients; ++client) co_await start_client(client);
  if (workload_.unseen) {
    server_->revoke_leases();
    co_await scheduler_.clock().sleep(std::chrono::seconds(1));
  }
  actors_running_ = workload_.actors.size();
  for (std::size_t actor = 0; actor < workload_.actors.size(); ++actor) {
    const int client = workload_.actors[actor].client;
    const Lane lane = client < 0 ? Lane::kServer : program_lane(client);
    spawn(scheduler_.executor(lane), "actor", run_actor(static_cast<int>(actor)));
  }
}

Task<void> World::start_client(int index) {
  Client& client = clients_[index];
  client.connector = server_->connector_for(index);
  const Executor core = scheduler_.executor(core_lane(index));
  rpc::SessionOptions session;
  session.export_name = "share";
  session.wants_leases = workload_.leases;
  session.client_name = std::string(1, static_cast<char>('A' + index));
  client.session =
      std::make_unique<rpc::Session>(core, scheduler_.clock(), *client.connector, session);
  auto started = co_await client.session->start();
  if (!started) fail("session: " + errno_name(started.error()));
  client.kernel =
      std::make_unique<PageCache>(scheduler_.executor(program_lane(index)), scheduler_.clock(),
                                  faults_, graph_, reference_, index);
  vfs::MountOptions options;
  options.invalidate = mode_;
  options.cache = workload_.cache;
  options.actimeo_us = Duration(workload_.actimeo_us);
  options.coherence = workload_.leases ? vfs::Coherence::kLease : vfs::Coherence::kCloseToOpen;
  FaultPoints* const windows = this;
  client.mount = std::make_unique<vfs::Mount>(core, scheduler_.clock(), *client.session,
                                              *client.kernel, options, windows);
  client.kernel->attach(client.mount->operations());
  client.kernel->on_released = [this, index](const std::string& file, Moment since) {
    trace(fmt::format("{}: RELEASE of {} is over", static_cast<char>('A' + index), file));
    // The errors of a RELEASE are reported to no program.
    if (clients_[index].failures[file].writes.empty()) synced(index, file, since);
    ++ops_done_;
  };
  spawn(scheduler_.executor(program_lane(index)), "notifier", client.kernel->run_notifier());
  for (const auto& [name, size] : workload_.files) {
    vfs::Call call;
    auto entry = co_await client.mount->operations().lookup(call, vfs::kRootNode, name);
    if (!entry) fail("lookup: " + errno_name(entry.error()));
    if (entry) client.kernel->enter(name, entry.value());
  }
}

Task<void> World::run_actor(int actor) {
  for (const Op& op : workload_.ops) {
    if (op.actor == actor && !skipped_.contains(op.number)) co_await run_op(op);
  }
  if (workload_.actors[static_cast<std::size_t>(actor)].client >= 0) co_await close_all(actor);
  ++ops_done_;
  if (--actors_running_ == 0) {
    spawn(scheduler_.executor(Lane::kServer), "finish", finish());
  }
}

// What the kernel does when a process ends: it closes descriptors and unmaps.
Task<void> World::close_all(int actor) {
  Program& program = programs_[static_cast<std::size_t>(actor)];
  const int client = workload_.actors[static_cast<std::size_t>(actor)].client;
  Op op;
  op.actor = actor;
  op.kind = OpKind::kClose;
  for (auto& slot : program.slots) {
    if (slot) co_await sync(op, client, *slot, /*close=*/true);
    slot.reset();
  }
  if (program.mapping) {
    co_await clients_[client].kernel->unmap(who(op), program.mapping->description);
  }
  program.mapping.reset();
}

Task<void> World::finish() {
  Clock& clock = scheduler_.clock();
  for (Client& client : clients_) {
    while (client.kernel->releases > 0) co_await clock.sleep(std::chrono::milliseconds(1));
  }
  for (Failing what : {Failing::kWrites, Failing::kReads, Failing::kChanges}) {
    server_->store().let_fail(what, 0, 0);
  }
  for (int index = 0; index < Reference::kClients; ++index) {
    const Moment since = reference_.now();
    auto drained = co_await clients_[index].mount->drain({});
    for (int tries = 0; !drained && tries < 5; ++tries) {
      co_await clock.sleep(std::chrono::seconds(6));
      drained = co_await clients_[index].mount->drain({});
    }
    if (!drained) fail("drain: " + errno_name(drained.error()));
    for (const auto& [name, size] : workload_.files) synced(index, name, since);
  }
  for (const auto& [name, size] : workload_.files) {
    check_file(name);
    check(reference_.check_size(name, server_->store().contents(name).size()));
    check(modes_.check_last(name, server_->store().mode(name)));
  }
  for (Client& client : clients_) {
    (void)co_await client.mount->shut_down();
    client.kernel->stop();
    co_await client.session->close();
  }
  finished_ = true;
}

// --- What is checked ----------------------------------------------------------------------------

void World::fail(std::string what) {
  trace("WRONG: " + what);
  if (outcome_.wrong.empty()) outcome_.wrong = std::move(what);
}

void World::check(const std::string& wrong) {
  if (!wrong.empty()) fail(wrong);
}

void World::check_file(const std::string& file) {
  const std::string& on_server = server_->store().contents(file);
  check(reference_.check_settled(file, on_server));
  check(reference_.check_kept(
      file, on_server, [this](int client, const std::string& name) { return held(client, name); }));
}

void World::synced(int client, const std::string& file, Moment since) {
  reference_.synced(client, file, since);
  check_file(file);
}

namespace {

// An answer may be on its way for this long, which is longer than anything is held up.
constexpr Duration kOnItsWay = std::chrono::seconds(16);

}  // namespace

TimePoint World::known_since() const {
  const TimePoint now = scheduler_.clock().now();
  return workload_.actimeo_us == 0 ? now : now - Duration(workload_.actimeo_us) - kOnItsWay;
}

Moment World::known_to_all() const {
  const TimePoint now = scheduler_.clock().now();
  const TimePoint limit = known_since();
  const bool exempt = leases_ended_ && now - leases_ended_->last < kOnItsWay;
  for (auto it = answered_.rbegin(); it != answered_.rend(); ++it) {
    if (exempt && it->second > leases_ended_->since) continue;
    if (it->first <= limit) return it->second + 1;
  }
  return 0;
}

void World::end_leases() {
  modes_.doubt();
  const TimePoint now = scheduler_.clock().now();
  const bool again = leases_ended_ && now - leases_ended_->last < kOnItsWay;
  leases_ended_ = LeasesEnded{again ? leases_ended_->since : reference_.now(), now};
}

void World::check_overdue(int client) {
  constexpr Duration kUntilQuiet = 3 * kRecallPatience;
  const auto troubled_at = clients_[client].troubled_at;
  trace(fmt::format("server: {} has not returned its leases", static_cast<char>('A' + client)));
  ++outcome_.counts["recall not answered"];
  if (troubled_at && scheduler_.clock().now() - *troubled_at < kUntilQuiet) return;
  fail(fmt::format("{} has not answered a recall in time\n{}", static_cast<char>('A' + client),
                   graph_.describe()));
}

std::vector<Reference::Piece> World::held(int client, const std::string& file) const {
  const Client& of = clients_[client];
  std::vector<Reference::Piece> pieces;
  auto found = of.inodes.find(file);
  if (found != of.inodes.end() && found->second->mapping) {
    auto& mapping = static_cast<cache::FolioMapping&>(*found->second->mapping);
    for (auto folio = mapping.unclean_from(0); folio;
         folio = mapping.unclean_from(folio->range.end)) {
      RangeSet bytes = folio->dirty;
      bytes.add(folio->writing);
      for (const ByteRange& range : bytes) {
        const auto* data = reinterpret_cast<const char*>(folio->at(range.begin));
        pieces.push_back({range.begin, std::string(data, range.size())});
      }
    }
  }
  for (Reference::Piece& page : of.kernel->dirty(file)) pieces.push_back(std::move(page));
  return pieces;
}

void World::check_status(const Op& op, int client, const std::string& file, Moment since,
                         const Status& status) {
  ++outcome_.counts[std::string(op_name(op.kind)) + (status ? "" : " failed")];
  if (status) return;
  const Failures& failures = clients_[client].failures[file];
  const bool reads =
      op.kind == OpKind::kRead || op.kind == OpKind::kLoad || op.kind == OpKind::kStore;
  const bool changes = op.kind == OpKind::kTruncate || op.kind == OpKind::kFsync ||
                       op.kind == OpKind::kOpen || op.kind == OpKind::kChmod ||
                       op.kind == OpKind::kClose;
  // An fsync or close may report that a mode which the client had kept was refused earlier.
  const bool tells_later = op.kind == OpKind::kFsync || op.kind == OpKind::kClose;
  if (tells_later && failures.change != 0) return;
  // The read may have waited for a READ that failed before the read began.
  if (reads && failures.read != 0) return;
  if (changes && failures.change > since) return;
  if (!failures.writes.empty()) return;
  // After a restart it may not be known whether a truncation has happened, and an open is not
  // retried for ever.
  const bool gives_up = op.kind == OpKind::kTruncate || op.kind == OpKind::kOpen;
  if (gives_up && restarted_ > since) return;
  fail(fmt::format("{} failed for no reason: {}", describe(workload_, op),
                   errno_name(status.error())));
}

// I6. A failure is known once the flush that it belongs to is over, and a flush waits for every
// WRITE that was sent before it. Each failure is reported once.
void World::check_told(int client, const std::string& file, Moment since, Told& told,
                       const Status& status) {
  const Failures& failures = clients_[client].failures[file];
  if (status) {
    for (Moment failure : failures.writes) {
      // A WRITE that failed before a restart may have been repeated with success.
      if (failure > told.at && failure < since && failure > restarted_) {
        fail(fmt::format("an error of {} at moment {} was not told", file, failure));
      }
    }
    return;
  }
  const bool is_new = !told.once || failures.change > told.since ||
                      clients_[client].kernel->page_errors(file) > 0 ||
                      (!failures.writes.empty() && failures.writes.back() > told.since);
  if (!is_new) fail(fmt::format("an error of {} was told twice", file));
  told = {since, reference_.now(), true};
}

void World::stored(const std::string& file, std::uint64_t offset, std::string_view bytes) {
  const int client = server_->executing_for();
  trace(fmt::format("server: {} bytes of {} at {} ({}) from {}", bytes.size(), file, offset,
                    static_cast<unsigned char>(bytes[0]), static_cast<char>('A' + client)));
  check(reference_.check_stored(client, file, offset, bytes));
  reference_.changed_on_server(client, file, server_->store().contents(file).size(),
                               server_->executing_call());
}

void World::resized(const std::string& file, std::uint64_t size) {
  trace(fmt::format("server: {} now ends at {}", file, size));
  reference_.truncated_on_server(server_->executing_for(), file, size);
  reference_.changed_on_server(server_->executing_for(), file, size, server_->executing_call());
}

void World::failed(const std::string& file, Failing what) {
  const int client = server_->executing_for();
  const Moment moment = reference_.now();
  trace(fmt::format("server: a {} of {} by {} fails",
                    what == Failing::kWrites  ? "WRITE"
                    : what == Failing::kReads ? "READ"
                                              : "change",
                    file, static_cast<char>('A' + client)));
  Failures& failures = clients_[client].failures[file];
  ++outcome_.counts["refused by the server"];
  if (what == Failing::kWrites) failures.writes.push_back(moment);
  if (what == Failing::kReads) failures.read = moment;
  if (what == Failing::kChanges) {
    failures.change = moment;
    reference_.refuse_truncate(client, file);
    modes_.refused(client, file);
  }
}

Task<void> World::reach(FaultPoint) {
  if (faults_.one_in(12)) {
    co_await scheduler_.clock().sleep(Duration(static_cast<std::int64_t>(faults_.below(4000))));
  }
}

void World::trace(std::string line) {
  if (!traced_) return;
  outcome_.trace.push_back(fmt::format("{:>8} {:>10} us  {}", scheduler_.steps(),
                                       scheduler_.clock().now().time_since_epoch().count(), line));
}

std::string World::who(const Op& op) const {
  return workload_.actors[static_cast<std::size_t>(op.actor)].name;
}

}  // namespace foliofs::sim
