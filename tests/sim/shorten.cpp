#include "tests/sim/shorten.h"

namespace foliofs::sim {

Outcome run_once(const Run& run, bool traced) {
  auto world = std::make_unique<World>(make_workload(run.seed, run.mode), run.mode, run.schedule,
                                       run.skipped, traced);
  Outcome outcome = world->run();
  // Leaked after a failure: coroutines of a run that stands still refer to it.
  if (!outcome.wrong.empty()) (void)world.release();
  return outcome;
}

namespace {

// Leaves out the operations [begin, end) if the run then still fails under one of a few schedules.
bool leave_out(Run& run, std::size_t begin, std::size_t end) {
  constexpr std::uint64_t kSchedules = 12;
  Run shorter = run;
  for (std::size_t op = begin; op < end; ++op) shorter.skipped.insert(op);
  if (shorter.skipped == run.skipped) return false;
  for (std::uint64_t other = 0; other < kSchedules; ++other) {
    shorter.schedule = run.schedule + other;
    if (run_once(shorter, /*traced=*/false).wrong.empty()) continue;
    run = shorter;
    return true;
  }
  return false;
}

}  // namespace

Run shorten(Run run) {
  const std::size_t ops = make_workload(run.seed, run.mode).ops.size();
  for (std::size_t chunk = ops / 2; chunk > 0; chunk /= 2) {
    bool shorter = true;
    while (shorter) {
      shorter = false;
      for (std::size_t begin = 0; begin < ops; begin += chunk) {
        shorter |= leave_out(run, begin, std::min(begin + chunk, ops));
      }
    }
  }
  return run;
}

}  // namespace foliofs::sim
