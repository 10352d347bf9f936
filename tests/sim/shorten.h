// Runs a seed, and finds a shorter run that fails as well.
#pragma once

#include <set>

#include "tests/sim/world.h"

namespace foliofs::sim {

// Everything that a run depends on.
struct Run {
  std::uint64_t seed = 0;      // of the workload
  std::uint64_t schedule = 0;  // seed of the order and of the faults' details
  cache::InvalidateMode mode{};
  std::set<std::size_t> skipped;  // operations that are left out
};

Outcome run_once(const Run& run, bool traced);

// Leaves out operations as long as the run still fails, with the same schedule or a nearby one.
// REQUIRES: `run` fails.
Run shorten(Run run);

}  // namespace foliofs::sim
