// foliofs-sim: runs schedules, one a seed, and says what was wrong with the first that fails.
#include <fmt/format.h>
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
  bool trace = false;
  bool whole = false;
};

void print(const Run& run, const Outcome& outcome) {
  for (const std::string& line : outcome.trace) std::cout << line << '\n';
  std::cout << fmt::format("seed {} by {}: {}\n", run.seed, cache::mode_name(run.mode),
                           outcome.wrong.empty() ? "ok" : outcome.wrong);
}

int report_failure(Run run, const Arguments& arguments) {
  if (!arguments.whole) run = shorten(run);
  std::cout << (arguments.whole ? "" : "The shortest run that was found to fail:\n");
  print(run, run_once(run, /*traced=*/true));
  return 1;
}

int run_all(Arguments arguments, cache::InvalidateMode mode) {
  using Time = std::chrono::steady_clock;
  const auto began = Time::now();
  const auto limit = std::chrono::seconds(arguments.seconds);
  std::uint64_t schedules = 0, steps = 0;
  for (std::uint64_t seed = arguments.first;; ++seed) {
    const bool enough =
        arguments.seconds == 0 ? schedules == arguments.count : Time::now() - began >= limit;
    if (enough) break;
    const Run run{seed, seed, mode, {}};
    Outcome outcome = run_once(run, arguments.trace);
    ++schedules;
    steps += outcome.steps;
    if (!outcome.wrong.empty()) {
      std::cout << fmt::format("{} schedules by {}, then seed {} failed: {}\n", schedules,
                               cache::mode_name(mode), seed, outcome.wrong);
      std::cout << fmt::format("to repeat: foliofs-sim --mode {} --seed {} --whole\n",
                               cache::mode_name(mode), seed)
                << std::flush;
      arguments.first = seed;
      return report_failure(run, arguments);
    }
    if (arguments.trace) print(run, outcome);
  }
  std::cout << fmt::format("{} schedules by {} from seed {} on: nothing wrong ({} steps)\n",
                           schedules, cache::mode_name(mode), arguments.first, steps);
  return 0;
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Runs two clients and a server in one process, in an order that a seed chooses.");
  app.add_option("--mode", arguments.mode, "launder, bulk or hybrid")->required();
  app.add_option("--seed", arguments.first, "the (first) seed");
  app.add_option("--count", arguments.count, "how many seeds")->check(CLI::PositiveNumber);
  app.add_option("--seconds", arguments.seconds, "as many seeds as fit into this time");
  app.add_flag("--trace", arguments.trace, "print what happens");
  app.add_flag("--whole", arguments.whole, "do not look for a shorter run that fails");
  CLI11_PARSE(app, argc, argv);
  const auto mode = cache::parse_mode(arguments.mode);
  if (!mode) {
    std::cerr << fmt::format("--mode: '{}' is none of launder, bulk, hybrid\n", arguments.mode);
    return 2;
  }
  spdlog::set_level(spdlog::level::off);  // what the cores log is not about this machine
  return run_all(arguments, *mode);
}

}  // namespace
}  // namespace foliofs::sim

int main(int argc, char** argv) {
  return foliofs::sim::main_of(argc, argv);
}
