// Workload: what the programs of a run do, and what goes wrong, drawn from a seed.
#pragma once

#include <string>
#include <vector>

#include "foliofs/base/byte_range.h"
#include "foliofs/cache/cache.h"
#include "foliofs/cache/invalidate.h"
#include "tests/sim/random.h"

namespace foliofs::sim {

enum class OpKind {
  // System calls on the descriptor in one of the program's slots.
  kOpen,
  kDup,  // another descriptor of the same open file, in slot `other`
  kClose,
  kMap,
  kUnmap,
  kRead,
  kWrite,
  kStore,  // to the mapping
  kLoad,   // from it
  kTruncate,
  kChmod,
  kFsync,
  kStat,
  // Other things that a client's user may do.
  kInvalidate,
  kSwitchMode,  // `foliofs set invalidate=`
  kSleep,
  // Faults, for one client or all.
  kFailWrites,
  kFailReads,
  kFailChanges,  // SETATTR and COMMIT
  kCut,
  kHold,  // one direction of the connection, for a while
  kRestart,
  kRevoke,  // all leases, as if files had been changed on the server's disk
};

struct Op {
  std::size_t number = 0;  // in the workload
  int actor = 0;           // index into Workload::actors
  OpKind kind{};
  int slot = 0;
  int other = 0;
  std::string file;
  ByteRange range;
  std::uint64_t amount = 0;  // a size, a count, or microseconds
  bool flag = false;         // open: O_CREAT; invalidate: flush; hold: to the server
  cache::InvalidateMode mode{};
};

// Executes its operations one after the other. The actor with client -1 injects the faults.
struct Actor {
  std::string name;
  int client = -1;
};

struct Workload {
  std::vector<Actor> actors;
  std::vector<Op> ops;                                       // each actor's in their order
  std::vector<std::pair<std::string, std::uint64_t>> files;  // names and initial sizes
  cache::CacheConfig cache;
  std::uint64_t actimeo_us = 0;
  bool leases = false;  // coherence=lease
  bool unseen = false;  // at first no client has a lease of the files
  std::uint64_t slowness_us = 0;
};

inline constexpr int kSlots = 3;

Workload make_workload(std::uint64_t seed, cache::InvalidateMode mode);

// The system call's name ("write"), or what the fault does ("fail WRITEs").
const char* op_name(OpKind kind);

// "A1: write f0 [0, 8)", for traces.
std::string describe(const Workload& workload, const Op& op);

}  // namespace foliofs::sim
