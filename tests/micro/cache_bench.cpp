// Lookup, invalidation, flush, server changes and reclaim while few or many folios are cached that
// they do not touch: as many as 1 GiB and 16 GiB in folios of 64 KiB have. The folios here are of
// 4 KiB, so that they fit into memory; trees and lists are the same.
#include <benchmark/benchmark.h>

#include <random>
#include <stdexcept>

#include "foliofs/cache/cache.h"
#include "foliofs/cache/mapping.h"
#include "tests/support/loop.h"

namespace foliofs::cache {
namespace {

constexpr std::uint64_t kFolio = 4096;
constexpr std::int64_t kFoliosOfOneGiB = (1 << 30) / (64 << 10);

void few_and_many(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("folios")->Arg(kFoliosOfOneGiB)->Arg(16 * kFoliosOfOneGiB);
}

// A sparse file that answers reads and writes at once.
class SparseStore final : public FolioStore {
 public:
  Task<Result<std::uint64_t>> read(std::uint64_t, std::span<const iovec> into) override {
    std::uint64_t bytes = 0;
    for (const iovec& part : into) bytes += part.iov_len;
    co_return bytes;
  }
  Task<Status> write(StoreWrite) override { co_return success(); }
};

class NoPages final : public KernelPages {
 public:
  Task<void> invalidate(ByteRange) override { co_return; }
};

class World {
 public:
  World(std::uint64_t folios, std::uint64_t room_folios)
      : cache(loop.executor(), loop.clock, config_for(room_folios)) {
    large = make_mapping(2 * room_folios + 1);
    fill(*large, 0, folios);
  }

  ~World() {
    must(cache.flush_all({}));
    large.reset();
    loop.run(cache.stop());
    loop.settle();
  }

  std::shared_ptr<Mapping> make_mapping(std::uint64_t folios) {
    return cache.make_mapping(store, kernel, folios * kFolio);
  }

  // Runs a task that cannot fail here.
  template <class T>
  void must(Task<T> task) {
    if (!loop.run(std::move(task))) throw std::runtime_error("a call has failed");
  }

  void fill(Mapping& mapping, std::uint64_t first, std::uint64_t folios) {
    constexpr std::uint64_t kAtOnce = 256;
    for (std::uint64_t at = first; at < first + folios; at += kAtOnce) {
      const std::uint64_t count = std::min(kAtOnce, first + folios - at);
      must(mapping.read(ByteRange::of(at * kFolio, count * kFolio), nullptr));
    }
  }

  static CacheConfig config_for(std::uint64_t folios) {
    CacheConfig config;
    config.folio_size = kFolio;
    // A folio takes more memory than its bytes.
    config.cache_size = config.used_once = folios * (kFolio + 512);
    config.dirty_background = 16 << 20;
    config.dirty_limit = 32 << 20;
    config.readahead = 0;
    return config;
  }

  test::Loop loop;
  Cache cache;
  std::shared_ptr<SparseStore> store = std::make_shared<SparseStore>();
  std::shared_ptr<NoPages> kernel = std::make_shared<NoPages>();
  std::shared_ptr<Mapping> large;  // has the folios
};

void lookup(benchmark::State& state) {
  const auto folios = static_cast<std::uint64_t>(state.range(0));
  World world(folios, folios + 4096);
  std::minstd_rand random;
  for (auto _ : state) {
    ReadResult result;
    const std::uint64_t at = random() % folios * kFolio;
    if (!world.large->try_read(ByteRange::of(at, kFolio), nullptr, result)) {
      state.SkipWithError("what was cached is not");
      break;
    }
  }
}
BENCHMARK(lookup)->Apply(few_and_many);

// Looks up the same place again and again, so that all memory is in the processor's caches.
void lookup_of_one(benchmark::State& state) {
  const auto folios = static_cast<std::uint64_t>(state.range(0));
  World world(folios, folios + 4096);
  for (auto _ : state) {
    ReadResult result;
    benchmark::DoNotOptimize(
        world.large->try_read(ByteRange::of(folios / 3 * kFolio, kFolio), nullptr, result));
  }
}
BENCHMARK(lookup_of_one)->Apply(few_and_many);

// Reads and invalidates a file of 64 folios, while another mapping has many.
void invalidate_beside(benchmark::State& state, InvalidateMode mode) {
  const auto folios = static_cast<std::uint64_t>(state.range(0));
  World world(folios, folios + 4096);
  auto small = world.make_mapping(64);
  for (auto _ : state) {
    world.fill(*small, 0, 64);
    world.loop.run(small->invalidate({mode, InvalidateReason::kUser, true}));
  }
  if (small->cached_bytes() != 0) state.SkipWithError("something is left");
}
BENCHMARK_CAPTURE(invalidate_beside, launder, InvalidateMode::kLaunder)->Apply(few_and_many);
BENCHMARK_CAPTURE(invalidate_beside, bulk, InvalidateMode::kBulk)->Apply(few_and_many);
BENCHMARK_CAPTURE(invalidate_beside, hybrid, InvalidateMode::kHybrid)->Apply(few_and_many);

// Stores to one folio and flushes it, in a mapping that has many clean ones.
void flush_one_of(benchmark::State& state) {
  const auto folios = static_cast<std::uint64_t>(state.range(0));
  World world(folios, folios + 4096);
  const std::vector<std::byte> block(kFolio);
  for (auto _ : state) {
    world.must(world.large->write(folios / 2 * kFolio, block, WriteSource::kSystemCall, {}));
    world.loop.run(world.large->flush({InvalidateMode::kHybrid, InvalidateReason::kSync, true}));
  }
}
BENCHMARK(flush_one_of)->Apply(few_and_many);

// The server changes one folio of a mapping that has many; the cache drops it and reads it again.
void change_one_of(benchmark::State& state) {
  const auto folios = static_cast<std::uint64_t>(state.range(0));
  World world(folios, folios + 4096);
  const ByteRange one = ByteRange::of(folios / 2 * kFolio, kFolio);
  for (auto _ : state) {
    world.must(world.large->change_on_server(one, [one]() -> Task<Result<ServerChange>> {
      co_return ServerChange{one, 0};
    }));
    world.must(world.large->read(one, nullptr));
  }
}
BENCHMARK(change_one_of)->Apply(few_and_many);

// Reads a folio while the cache is full, so that another has to be reclaimed.
void reclaim_step(benchmark::State& state) {
  const auto folios = static_cast<std::uint64_t>(state.range(0));
  World world(folios, folios);
  const std::uint64_t all = world.large->size() / kFolio;
  std::uint64_t next = folios;
  auto read_next = [&] {
    world.must(world.large->read(ByteRange::of(next * kFolio, kFolio), nullptr));
    next = (next + 1) % all;
  };
  auto reclaimed = [&] {
    return world.cache.stats().reclaimed_folios;
  };
  for (auto left = all; reclaimed() == 0; --left) {
    if (left == 0) return state.SkipWithError("the cache is never full");
    read_next();
  }
  const std::uint64_t before = reclaimed();
  for (auto _ : state) read_next();
  state.counters["reclaimed"] = benchmark::Counter(static_cast<double>(reclaimed() - before),
                                                   benchmark::Counter::kAvgIterations);
}
BENCHMARK(reclaim_step)->Apply(few_and_many);

}  // namespace
}  // namespace foliofs::cache
