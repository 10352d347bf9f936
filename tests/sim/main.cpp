// foliofs-sim: runs one schedule for each seed, and reports what was wrong in the first that fails.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>

#include "foliofs/cache/invalidate.h"
#include "tests/sim/shorten.h"
#include "tests/sim/world.h"

namespace foliofs::sim {
namespace {

struct Arguments {
  std::string mode;
  std::uint64_t first = 1;
  std::uint64_t count = 1;
  std::uint64_t seconds = 0;
  std::optional<std::uint64_t> schedule;
  std::vector<std::size_t> skipped;
  bool trace = false;
  bool whole = false;
  bool counts = false;
};

std::string command_for(const Run& run) {
  std::string command =
      fmt::format("foliofs-sim --mode {} --seed {} --whole", cache::mode_name(run.mode), run.seed);
  if (run.schedule != run.seed) command += fmt::format(" --schedule {}", run.schedule);
  if (!run.skipped.empty()) command += fmt::format(" --skip {}", fmt::join(run.skipped, ","));
  return command;
}

void print(const Run& run, const Outcome& outcome) {
  for (const std::string& line : outcome.trace) std::cout << line << '\n';
  std::cout << fmt::format("seed {} by {}: {}\n", run.seed, cache::mode_name(run.mode),
                           outcome.wrong.empty() ? "ok" : outcome.wrong);
}

int report_failure(Run run, const Arguments& arguments) {
  if (!arguments.whole) run = shorten(run);
  if (!arguments.whole) {
    std::cout << "The shortest run that was found to fail: " << command_for(run) << " --trace\n";
  }
  print(run, run_once(run, /*traced=*/true));
  return 1;
}

int run_all(Arguments arguments, cache::InvalidateMode mode) {
  using Time = std::chrono::steady_clock;
  const auto began = Time::now();
  const auto limit = std::chrono::seconds(arguments.seconds);
  std::uint64_t schedules = 0, steps = 0;
  Counts counts;
  for (std::uint64_t seed = arguments.first;; ++seed) {
    const bool enough =
        arguments.seconds == 0 ? schedules == arguments.count : Time::now() - began >= limit;
    if (enough) break;
    const Run run{seed,
                  arguments.schedule.value_or(seed),
                  mode,
                  {arguments.skipped.begin(), arguments.skipped.end()}};
    Outcome outcome = run_once(run, arguments.trace);
    ++schedules;
    steps += outcome.steps;
    for (const auto& [what, count] : outcome.counts) counts[what] += count;
    if (!outcome.wrong.empty()) {
      std::cout << fmt::format("{} schedules by {}, then seed {} failed: {}\n", schedules,
                               cache::mode_name(mode), seed, outcome.wrong);
      std::cout << "to repeat: " << command_for(run) << '\n' << std::flush;
      arguments.first = seed;
      return report_failure(run, arguments);
    }
    if (arguments.trace) print(run, outcome);
  }
  std::cout << fmt::format("{} schedules by {} from seed {} on: nothing wrong ({} steps)\n",
                           schedules, cache::mode_name(mode), arguments.first, steps);
  if (arguments.counts) {
    for (const auto& [what, count] : counts) std::cout << fmt::format("{:>10} {}\n", count, what);
  }
  return 0;
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Runs two clients and a server in one process, in an order that a seed chooses.");
  app.add_option("--mode", arguments.mode, "launder, bulk or hybrid")->required();
  app.add_option("--seed", arguments.first, "the (first) seed");
  app.add_option("--count", arguments.count, "how many seeds")->check(CLI::PositiveNumber);
  app.add_option("--seconds", arguments.seconds, "as many seeds as fit into this time");
  app.add_option("--schedule", arguments.schedule, "the order of another seed");
  app.add_option("--skip", arguments.skipped, "operations, by number, to leave out")
      ->delimiter(',');
  app.add_flag("--counts", arguments.counts, "print what was done, and how often");
  app.add_flag("--trace", arguments.trace, "print what happens");
  app.add_flag("--whole", arguments.whole, "do not look for a shorter run that fails");
  CLI11_PARSE(app, argc, argv);
  const auto mode = cache::parse_mode(arguments.mode);
  if (!mode) {
    std::cerr << fmt::format("--mode: '{}' is none of launder, bulk, hybrid\n", arguments.mode);
    return 2;
  }
  spdlog::set_level(spdlog::level::off);  // the cores log failures that the run injects
  return run_all(arguments, *mode);
}

}  // namespace
}  // namespace foliofs::sim

int main(int argc, char** argv) {
  return foliofs::sim::main_of(argc, argv);
}
