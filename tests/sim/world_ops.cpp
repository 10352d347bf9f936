// The operations of programs and the faults, and what the references learn from each.
#include <fmt/format.h>

#include "src/vfs/inode.h"
#include "tests/sim/world.h"

namespace foliofs::sim {

namespace {

std::string outcome_of(const Status& status) {
  return status ? "ok" : errno_name(status.error());
}

}  // namespace

Task<void> World::run_op(const Op& op) {
  const int client = workload_.actors[static_cast<std::size_t>(op.actor)].client;
  if (client < 0 || op.kind == OpKind::kSleep) {
    co_await make_trouble(op);
    ++ops_done_;
    co_return;
  }
  Program& program = programs_[static_cast<std::size_t>(op.actor)];
  std::optional<Descriptor>& slot = program.slots[op.slot];
  const bool mapped = op.kind == OpKind::kStore || op.kind == OpKind::kLoad;
  switch (op.kind) {
    case OpKind::kOpen:
      if (!slot) co_await open(op, client, program);
      break;
    case OpKind::kInvalidate:
      co_await invalidate(op, client);
      break;
    case OpKind::kSwitchMode: {
      const vfs::OptionPair option{"invalidate", cache::mode_name(op.mode)};
      ++outcome_.counts[op_name(op.kind)];
      if (!clients_[client].mount->set_live_options({&option, 1})) fail("set invalidate");
      break;
    }
    case OpKind::kStat:
      co_await stat(op, client);
      break;
    case OpKind::kDup:
      if (slot && !program.slots[op.other]) {
        ++outcome_.counts[op_name(op.kind)];
        program.slots[op.other] = slot;
        ++slot->description->references;
      }
      break;
    case OpKind::kMap:
      if (slot && !program.mapping) {
        ++outcome_.counts[op_name(op.kind)];
        program.mapping = slot;
        ++slot->description->references;
      }
      break;
    case OpKind::kUnmap:
      if (program.mapping) {
        const Descriptor mapping = *std::exchange(program.mapping, std::nullopt);
        co_await clients_[client].kernel->unmap(who(op), mapping.description);
      }
      break;
    case OpKind::kClose:
      if (slot) {
        Descriptor closing = *std::exchange(slot, std::nullopt);
        co_await sync(op, client, closing, /*close=*/true);
      }
      break;
    default:
      if (mapped && program.mapping) co_await call(op, client, *program.mapping);
      if (!mapped && slot) co_await call(op, client, *slot);
  }
  ++ops_done_;
}

Task<void> World::call(const Op& op, int client, Descriptor& descriptor) {
  switch (op.kind) {
    case OpKind::kRead:
    case OpKind::kLoad:
      co_await read(op, client, descriptor);
      break;
    case OpKind::kWrite:
      co_await write(op, client, descriptor);
      break;
    case OpKind::kStore:
      co_await store(op, client, descriptor);
      break;
    case OpKind::kTruncate:
      co_await truncate(op, client, descriptor);
      break;
    case OpKind::kChmod:
      co_await chmod(op, client, descriptor);
      break;
    case OpKind::kFsync:
      co_await sync(op, client, descriptor, /*close=*/false);
      break;
    default:
      break;
  }
}

Task<void> World::open(const Op& op, int client, Program& program) {
  Client& of = clients_[client];
  const Moment since = reference_.now();
  trace(describe(workload_, op));
  auto opened = co_await of.kernel->open(who(op), op.file, op.flag);
  trace(fmt::format("{}: open of {}: {}", who(op), op.file,
                    opened ? "ok" : errno_name(opened.error())));
  if (!opened) {
    check_status(op, client, op.file, since, opened.error());
    co_return;
  }
  of.inodes[op.file] = opened.value()->opened->inode;
  program.slots[op.slot] =
      Descriptor{opened.value(), std::make_shared<Told>(Told{since, reference_.now()})};
  check_status(op, client, op.file, since, success());
  reference_.refreshed(client, op.file, since);
  check_file(op.file);
}

Task<void> World::stat(const Op& op, int client) {
  const Reference::View view = reference_.begin_read(client, op.file);
  const Moment told = known_to_all();
  const TimePoint told_at = known_since();
  trace(describe(workload_, op));
  auto seen = co_await clients_[client].kernel->stat(who(op), op.file);
  Status status = success();
  if (!seen) status = seen.error();
  trace(fmt::format("{}: stat of {}: {}", who(op), op.file,
                    seen ? fmt::format("{}, mode {:o}", seen.value().size, seen.value().mode)
                         : outcome_of(status)));
  check_status(op, client, op.file, view.since, status);
  if (!seen) co_return;
  check(reference_.check_stat(client, op.file, view, seen.value().size, told));
  check(modes_.check(client, op.file, view.since, told_at, seen.value().mode));
}

Task<void> World::chmod(const Op& op, int client, Descriptor& descriptor) {
  PageCache& kernel = *clients_[client].kernel;
  const auto description = descriptor.description;
  const std::string file = kernel.name_of(*description);
  const Moment since = reference_.now();
  const auto mode = modes_.begin(client, file, since);
  if (!mode) co_return;
  trace(fmt::format("{}, mode {:o}", describe(workload_, op), *mode));
  auto status = co_await kernel.chmod(who(op), description, *mode);
  trace(fmt::format("{}: chmod {:o}: {}", who(op), *mode, outcome_of(status)));
  if (status) modes_.acknowledge(file, *mode, reference_.now(), scheduler_.clock().now());
  if (status && server_->store().mode(file) != *mode) ++outcome_.counts["chmod kept"];
  check_status(op, client, file, since, status);
}

// read(2), or a load from a mapping.
Task<void> World::read(const Op& op, int client, Descriptor& descriptor) {
  PageCache& kernel = *clients_[client].kernel;
  const auto description = descriptor.description;
  const std::string file = kernel.name_of(*description);
  const Reference::View view = reference_.begin_read(client, file);
  trace(describe(workload_, op));
  const auto get = op.kind == OpKind::kLoad ? &PageCache::load : &PageCache::read;
  auto bytes = co_await (kernel.*get)(who(op), description, op.range);
  if (!bytes) {
    check_access(op, client, file, view, bytes.error());
    co_return;
  }
  const std::string& data = bytes.value().data;
  trace(fmt::format("{}: has got {} bytes of {}", who(op), data.size(), file));
  check_status(op, client, file, view.since, success());
  check(reference_.check_read(client, file, view, op.range, data, bytes.value().size_ignored));
}

// EFAULT: the user of a mapping gets SIGBUS.
void World::check_access(const Op& op, int client, const std::string& file, Reference::View view,
                         const Status& status) {
  trace(fmt::format("{}: no access: {}", who(op), outcome_of(status)));
  if (status.error() == Errno(EFAULT)) {
    ++outcome_.counts[std::string(op_name(op.kind)) + " beyond the end"];
    check(reference_.check_beyond_end(client, file, view, op.range));
  } else {
    check_status(op, client, file, view.since, status);
  }
}

Task<void> World::write(const Op& op, int client, Descriptor& descriptor) {
  Client& of = clients_[client];
  const auto description = descriptor.description;
  const std::string file = of.kernel->name_of(*description);
  std::optional<std::uint8_t> value;
  const Moment since = reference_.now();
  const std::function<char()> happens = [&] {
    value = reference_.begin_write(client, file, op.range);
    trace(fmt::format("{}, value {}", describe(workload_, op), value.value_or(0)));
    return static_cast<char>(value.value_or(0));
  };
  auto status = co_await of.kernel->write(who(op), description, op.range, happens);
  if (!value) co_return;
  trace(fmt::format("{}: write {}: {}", who(op), *value, outcome_of(status)));
  if (status) reference_.acknowledge_write(file, *value);
  check_status(op, client, file, since, status);
  check_file(file);
}

Task<void> World::store(const Op& op, int client, Descriptor& descriptor) {
  Client& of = clients_[client];
  const auto description = descriptor.description;
  const std::string file = of.kernel->name_of(*description);
  const Reference::View view = reference_.begin_read(client, file);
  trace(describe(workload_, op));
  const std::function<char()> happens = [&] {
    const auto value = reference_.begin_write(client, file, op.range);
    if (!value) return '\0';
    reference_.acknowledge_write(file, *value);
    trace(fmt::format("{}: stores {} to {}", who(op), *value, file));
    return static_cast<char>(*value);
  };
  auto status = co_await of.kernel->store(who(op), description, op.range, happens);
  if (status) check_status(op, client, file, view.since, status);
  if (!status) check_access(op, client, file, view, status);
  check_file(file);
}

Task<void> World::truncate(const Op& op, int client, Descriptor& descriptor) {
  Client& of = clients_[client];
  const auto description = descriptor.description;
  const std::string file = of.kernel->name_of(*description);
  trace(describe(workload_, op));
  std::size_t event = 0;
  const Moment since = reference_.now();
  const std::function<void()> happens = [&] {
    event = reference_.begin_truncate(client, file, op.amount);
  };
  auto status = co_await of.kernel->truncate(who(op), description, op.amount, happens);
  trace(fmt::format("{}: truncate: {}", who(op), outcome_of(status)));
  if (status) {
    reference_.acknowledge_truncate(file, event);
  } else {
    reference_.fail_truncate(file, event);
  }
  check_status(op, client, file, since, status);
  check_file(file);
}

Task<void> World::sync(const Op& op, int client, Descriptor& descriptor, bool close) {
  Client& of = clients_[client];
  const auto description = descriptor.description;
  const std::string file = of.kernel->name_of(*description);
  const auto told = descriptor.told;
  const Moment since = reference_.now();
  trace(describe(workload_, op));
  Status status = success();
  if (close) {
    status = co_await of.kernel->close(who(op), description);
  } else {
    status = co_await of.kernel->fsync(who(op), description);
  }
  trace(fmt::format("{}: {}: {}", who(op), close ? "close" : "fsync", outcome_of(status)));
  if (status) synced(client, file, since);
  check_told(client, file, since, *told, status);
  check_status(op, client, file, since, status);
}

Task<void> World::invalidate(const Op& op, int client) {
  Client& of = clients_[client];
  const Moment since = reference_.now();
  trace(describe(workload_, op));
  const vfs::Caller caller;
  auto report = co_await of.mount->invalidate(caller, op.file, op.mode, op.flag);
  Status status = success();
  if (!report) status = report.error();
  if (report && report.value().error) status = *report.value().error;
  trace(fmt::format("{}: invalidated: {}", who(op), outcome_of(status)));
  if (status && op.flag) synced(client, op.file, since);
  if (status && !op.flag) {
    check(reference_.check_let_go(client, op.file, since, held(client, op.file)));
  }
  if (status) reference_.refreshed(client, op.file, since);
  if (status || status.error() != Errno(EBUSY)) check_status(op, client, op.file, since, status);
  check_file(op.file);
}

Task<void> World::make_trouble(const Op& op) {
  trace(describe(workload_, op));
  ++outcome_.counts[op_name(op.kind)];
  MemoryStore& store = server_->store();
  const auto count = static_cast<std::uint32_t>(op.amount);
  switch (op.kind) {
    case OpKind::kSleep:
      co_await scheduler_.clock().sleep(Duration(static_cast<std::int64_t>(op.amount)));
      break;
    case OpKind::kFailWrites:
      store.let_fail(Failing::kWrites, count, op.flag ? EIO : ENOSPC);
      break;
    case OpKind::kFailReads:
      store.let_fail(Failing::kReads, count, EIO);
      break;
    case OpKind::kFailChanges:
      store.let_fail(Failing::kChanges, count, EIO);
      break;
    case OpKind::kCut:
      troubled(op.slot);
      server_->cut(op.slot);
      break;
    case OpKind::kHold:
      troubled(op.slot);
      server_->hold(op.slot, op.flag, true);
      co_await scheduler_.clock().sleep(Duration(static_cast<std::int64_t>(op.amount)));
      server_->hold(op.slot, op.flag, false);
      troubled(op.slot);
      break;
    case OpKind::kRestart:
      restarted_ = reference_.now();
      for (int client = 0; client < Reference::kClients; ++client) troubled(client);
      end_leases();
      server_->restart();
      break;
    case OpKind::kRevoke:
      end_leases();
      server_->revoke_leases();
      break;
    default:
      break;
  }
}

}  // namespace foliofs::sim
