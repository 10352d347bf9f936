// Dirty ranges of a folio: what each store and each acknowledgement costs.
#include <benchmark/benchmark.h>

#include "foliofs/base/byte_range.h"

namespace foliofs {
namespace {

constexpr std::uint64_t kFolio = 64 << 10;
constexpr std::uint64_t kPiece = 512;
constexpr std::int64_t kPieces = kFolio / kPiece;

// Adjacent stores in order become one range.
void dirty_ranges_in_order(benchmark::State& state) {
  for (auto _ : state) {
    RangeSet dirty;
    for (std::uint64_t at = 0; at < kFolio; at += kPiece) dirty.add(ByteRange::of(at, kPiece));
    benchmark::DoNotOptimize(dirty.count());
  }
  state.SetItemsProcessed(state.iterations() * kPieces);
}
BENCHMARK(dirty_ranges_in_order);

// First adds every other piece, each a range of its own, and then the pieces between, which join
// them.
void dirty_ranges_that_join(benchmark::State& state) {
  for (auto _ : state) {
    RangeSet dirty;
    for (const std::uint64_t first : {std::uint64_t{0}, kPiece}) {
      for (std::uint64_t at = first; at < kFolio; at += 2 * kPiece) {
        dirty.add(ByteRange::of(at, kPiece));
      }
    }
    benchmark::DoNotOptimize(dirty.count());
  }
  state.SetItemsProcessed(state.iterations() * kPieces);
}
BENCHMARK(dirty_ranges_that_join);

// A page is stored to, sent and acknowledged, as in most folios of a random writer.
void dirty_ranges_of_one_page(benchmark::State& state) {
  RangeSet dirty;
  for (auto _ : state) {
    dirty.add(ByteRange::of(4096, 4096));
    dirty.subtract(ByteRange::of(4096, 4096));
    benchmark::DoNotOptimize(dirty.empty());
  }
}
BENCHMARK(dirty_ranges_of_one_page);

}  // namespace
}  // namespace foliofs
