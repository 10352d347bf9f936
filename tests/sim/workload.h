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
  // System calls on the descriptor in a slot of the program's.
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
  // Other things that a client's user does.
  kInvalidate,
  kSwitchMode,  // `foliofs set invalidate=`
  kSleep,
  // What goes wrong, for one client or all.
  kFailWrites,
  kFailReads,
  kFailChanges,  // SETATTR and COMMIT
  kCut,
  kHold,  // one direction of the connection, for a while
  kRestart,
  kRevoke,  // all leases: somebody changes files on the disk itself
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

// A sequence of operations, one after the other. Client -1 makes trouble.
struct Actor {
  std::string name;
  int client = -1;
};

struct Workload {
  std::vector<Actor> actors;
  std::vector<Op> ops;                                       // each actor's in their order
  std::vector<std::pair<std::string, std::uint64_t>> files;  // and their sizes at first
  cache::CacheConfig cache;
  std::uint64_t actimeo_us = 0;
  bool leases = false;  // coherence=lease
  bool unseen = false;  // nobody has a lease of the files at first
  std::uint64_t slowness_us = 0;
};

inline constexpr int kSlots = 3;

Workload make_workload(std::uint64_t seed, cache::InvalidateMode mode);

// "write"; the trouble by what it does.
const char* op_name(OpKind kind);

// "A1: write f0 [0, 8)", for traces.
std::string describe(const Workload& workload, const Op& op);

}  // namespace foliofs::sim
