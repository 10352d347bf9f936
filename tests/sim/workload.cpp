#include "tests/sim/workload.h"

#include <fmt/format.h>

namespace foliofs::sim {

namespace {

constexpr std::uint64_t kWorkloadStream = 2;
constexpr std::uint64_t kMaxFile = 40 << 10;

class Generator {
 public:
  Generator(std::uint64_t seed, cache::InvalidateMode mode)
      : random_(seed, kWorkloadStream), mode_(mode) {}

  Workload make() {
    configure();
    mapped_ = random_.one_in(2);
    // A mapping cannot be used beyond the end of the file.
    const std::uint64_t least = mapped_ && !random_.one_in(4) ? 12288 : 0;
    workload_.files.emplace_back("f0", std::max(some_size(), least));
    if (random_.one_in(4)) workload_.files.emplace_back("f1", std::max(some_size(), least));
    for (int client = 0; client < 2; ++client) {
      const std::uint64_t programs = random_.between(1, 3);
      for (std::uint64_t program = 1; program <= programs; ++program) {
        std::string name = static_cast<char>('A' + client) + std::to_string(program);
        workload_.actors.push_back({std::move(name), client});
        add_program();
      }
    }
    if (!random_.one_in(3)) add_trouble();
    return std::move(workload_);
  }

 private:
  void configure() {
    cache::CacheConfig& cache = workload_.cache;
    cache.folio_size = random_.one_in(2) ? 4096 : 16384;
    cache.cache_size = random_.one_in(3) ? 128 << 10 : 8 << 20;
    const bool eager = random_.one_in(3);
    cache.used_once = eager ? 32 << 10 : cache.cache_size;
    cache.dirty_background = eager ? 4096 : 1 << 20;
    cache.dirty_limit = random_.one_in(4) ? 24 << 10 : 2 << 20;
    if (cache.dirty_limit > cache.cache_size / 2) cache.dirty_limit = cache.cache_size / 2;
    if (cache.dirty_background > cache.dirty_limit) cache.dirty_background = cache.dirty_limit;
    cache.readahead = random_.one_in(2) ? 0 : 32 << 10;
    cache.max_io = random_.one_in(3) ? cache.folio_size : 1 << 20;
    cache.writes_in_flight = static_cast<std::uint32_t>(random_.one_in(2) ? 1 : 8);
    workload_.actimeo_us = random_.one_in(2) ? 0 : 1'000'000;
    workload_.slowness_us = random_.one_in(2) ? 0 : 3000;
    workload_.leases = random_.one_in(2);
    workload_.unseen = workload_.leases && random_.one_in(2);
  }

  Op& add(OpKind kind) {
    Op op;
    op.number = workload_.ops.size();
    op.actor = static_cast<int>(workload_.actors.size()) - 1;
    op.kind = kind;
    op.file = workload_.files[random_.below(workload_.files.size())].first;
    op.slot = static_cast<int>(random_.below(kSlots));
    op.other = static_cast<int>(random_.below(kSlots));
    op.mode = mode_;
    workload_.ops.push_back(op);
    return workload_.ops.back();
  }

  std::uint64_t some_size() {
    constexpr std::uint64_t kSizes[] = {0, 1, 100, 4095, 4096, 5000, 12288, 20000};
    return kSizes[random_.below(std::size(kSizes))];
  }

  // Only a few places, around the edges of pages and folios, so that operations overlap.
  ByteRange some_range() {
    constexpr std::uint64_t kPlaces[] = {0, 8, 4090, 4096, 8190, 12288, 16380, 16384, 20000};
    constexpr std::uint64_t kLengths[] = {1, 4, 8, 100, 4096, 5000, 9000};
    const std::uint64_t begin = kPlaces[random_.below(std::size(kPlaces))] + random_.below(4);
    ByteRange range = ByteRange::of(begin, kLengths[random_.below(std::size(kLengths))]);
    range.end = std::min(range.end, kMaxFile);
    return range;
  }

  // Within one page.
  ByteRange some_mapped_range() {
    const std::uint64_t page = random_.below(random_.one_in(4) ? 6 : 3);
    const std::uint64_t begin = page * 4096 + random_.below(3) * 2000;
    return ByteRange::of(begin, random_.between(1, 64));
  }

  void add_program() {
    const bool creates = random_.one_in(2);
    Op& open = add(OpKind::kOpen);
    open.slot = 0;
    open.flag = creates;
    if (random_.one_in(5)) return add_reads();
    if (creates && random_.one_in(2)) add(OpKind::kChmod).slot = 0;
    if (mapped_ && random_.one_in(2)) add(OpKind::kMap).slot = 0;
    const std::uint64_t count = random_.between(3, 12);
    for (std::uint64_t i = 0; i < count; ++i) add_call();
  }

  // Reads in order, so that there is readahead, and again after revalidating the file.
  void add_reads() {
    const std::string file = workload_.ops.back().file;
    const std::uint64_t rounds = random_.between(2, 4);
    for (std::uint64_t round = 0; round < rounds; ++round) {
      for (std::uint64_t block = 0; block < 3; ++block) {
        Op& op = add(OpKind::kRead);
        op.slot = 0;
        op.range = ByteRange::of(block * 4096, 4096);
      }
      if (random_.one_in(2)) {
        Op& op = add(OpKind::kInvalidate);
        op.file = file;
        op.flag = true;
      } else {
        add(OpKind::kClose).slot = 0;
        Op& op = add(OpKind::kOpen);
        op.slot = 0;
        op.file = file;
      }
    }
  }

  void add_call() {
    struct Weighted {
      OpKind kind;
      std::uint64_t weight;
    };
    constexpr Weighted kCalls[] = {
        {OpKind::kWrite, 24}, {OpKind::kRead, 14},    {OpKind::kStore, 12},
        {OpKind::kLoad, 6},   {OpKind::kTruncate, 8}, {OpKind::kFsync, 6},
        {OpKind::kClose, 7},  {OpKind::kOpen, 9},     {OpKind::kDup, 3},
        {OpKind::kMap, 3},    {OpKind::kUnmap, 3},    {OpKind::kInvalidate, 16},
        {OpKind::kSleep, 4},  {OpKind::kStat, 10},    {OpKind::kSwitchMode, 1},
        {OpKind::kChmod, 8}};
    std::uint64_t total = 0;
    for (const Weighted& call : kCalls) total += call.weight;
    std::uint64_t chosen = random_.below(total);
    for (const Weighted& call : kCalls) {
      if (chosen < call.weight) return add_one(call.kind);
      chosen -= call.weight;
    }
  }

  void add_one(OpKind kind) {
    const bool mapping = kind == OpKind::kStore || kind == OpKind::kLoad || kind == OpKind::kMap;
    if (mapping && !mapped_) kind = OpKind::kWrite;
    Op& op = add(kind);
    // Most calls are made on the first descriptor, because that one is usually open.
    if (!random_.one_in(4)) op.slot = 0;
    op.range = kind == OpKind::kStore || kind == OpKind::kLoad ? some_mapped_range() : some_range();
    if (kind == OpKind::kTruncate) op.amount = some_size();
    if (kind == OpKind::kTruncate && mapped_ && random_.one_in(2)) op.amount = 20000;
    if (kind == OpKind::kOpen) op.flag = random_.one_in(2);
    if (kind == OpKind::kSleep) op.amount = random_.one_in(2) ? 2000 : 1'500'000;
    if (kind == OpKind::kInvalidate) op.flag = !random_.one_in(6);
    if (kind == OpKind::kSwitchMode) {
      op.mode = static_cast<cache::InvalidateMode>(random_.below(cache::kInvalidateModes));
      if (!random_.one_in(4)) op.mode = mode_;
    }
  }

  // Sometimes longer than a client believes its leases without hearing from the server, or than the
  // server waits for a recall.
  std::uint64_t some_hold() {
    if (workload_.leases && random_.one_in(3)) return random_.between(1'000'000, 15'000'000);
    return random_.between(1, 5000);
  }

  void add_trouble() {
    workload_.actors.push_back({"trouble", -1});
    const bool restarts = random_.one_in(4);
    const std::uint64_t count = random_.between(1, 4);
    for (std::uint64_t i = 0; i < count; ++i) {
      add(OpKind::kSleep).amount = random_.below(8000);
      constexpr OpKind kKinds[] = {OpKind::kFailWrites,  OpKind::kFailWrites, OpKind::kFailReads,
                                   OpKind::kFailChanges, OpKind::kCut,        OpKind::kCut,
                                   OpKind::kHold};
      OpKind kind = kKinds[random_.below(std::size(kKinds))];
      if (restarts && random_.one_in(2)) kind = OpKind::kRestart;
      if (workload_.leases && random_.one_in(16)) kind = OpKind::kRevoke;
      Op& op = add(kind);
      op.slot = static_cast<int>(random_.below(2));  // the client
      op.amount = kind == OpKind::kHold ? some_hold() : random_.between(1, 3);
      op.flag = random_.one_in(2);
    }
  }

  Random random_;
  const cache::InvalidateMode mode_;
  bool mapped_ = false;
  Workload workload_;
};

}  // namespace

Workload make_workload(std::uint64_t seed, cache::InvalidateMode mode) {
  return Generator(seed, mode).make();
}

const char* op_name(OpKind kind) {
  constexpr const char* kNames[] = {
      "open",          "dup",        "close",    "mmap",     "munmap",      "read",
      "write",         "store",      "load",     "truncate", "chmod",       "fsync",
      "stat",          "invalidate", "set mode", "sleep",    "fail WRITEs", "fail READs",
      "fail SETATTRs", "cut",        "hold",     "restart",  "revoke"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string describe(const Workload& workload, const Op& op) {
  const std::string actor = workload.actors[static_cast<std::size_t>(op.actor)].name;
  const auto on_slot = [&](const char* what) {
    return fmt::format("{}: {} on descriptor {}", actor, what, op.slot);
  };
  const auto on_range = [&](const char* what) {
    return fmt::format("{}: {} [{}, {}) on descriptor {}", actor, what, op.range.begin,
                       op.range.end, op.slot);
  };
  const char client = static_cast<char>('A' + op.slot);
  switch (op.kind) {
    case OpKind::kOpen:
      return fmt::format("{}: {} {} as descriptor {}", actor, op.flag ? "create" : "open", op.file,
                         op.slot);
    case OpKind::kDup:
      return fmt::format("{}: dup descriptor {} as {}", actor, op.slot, op.other);
    case OpKind::kClose:
      return on_slot("close");
    case OpKind::kMap:
      return on_slot("mmap");
    case OpKind::kUnmap:
      return on_slot("munmap");
    case OpKind::kRead:
      return on_range("read");
    case OpKind::kWrite:
      return on_range("write");
    case OpKind::kStore:
      return on_range("store to the mapping");
    case OpKind::kLoad:
      return on_range("load from the mapping");
    case OpKind::kTruncate:
      return fmt::format("{}: truncate to {} on descriptor {}", actor, op.amount, op.slot);
    case OpKind::kChmod:
      return on_slot("chmod");
    case OpKind::kFsync:
      return on_slot("fsync");
    case OpKind::kStat:
      return fmt::format("{}: stat {}", actor, op.file);
    case OpKind::kInvalidate:
      return fmt::format("{}: invalidate {} by {}{}", actor, op.file, cache::mode_name(op.mode),
                         op.flag ? "" : ", without flushing");
    case OpKind::kSwitchMode:
      return fmt::format("{}: set invalidate={}", actor, cache::mode_name(op.mode));
    case OpKind::kSleep:
      return fmt::format("{}: sleep {} us", actor, op.amount);
    case OpKind::kFailWrites:
      return fmt::format("{}: the next {} WRITEs fail", actor, op.amount);
    case OpKind::kFailReads:
      return fmt::format("{}: the next {} READs fail", actor, op.amount);
    case OpKind::kFailChanges:
      return fmt::format("{}: the next {} SETATTRs or COMMITs fail", actor, op.amount);
    case OpKind::kCut:
      return fmt::format("{}: cut the connection of {}", actor, client);
    case OpKind::kHold:
      return fmt::format("{}: hold what goes {} {} for {} us", actor, op.flag ? "from" : "to",
                         client, op.amount);
    case OpKind::kRestart:
      return fmt::format("{}: restart the server", actor);
    case OpKind::kRevoke:
      return fmt::format("{}: revoke all leases", actor);
  }
  return actor;
}

}  // namespace foliofs::sim
