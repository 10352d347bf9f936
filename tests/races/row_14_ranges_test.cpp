// Row 14: ranges are in bytes everywhere. Random stores, flushes, invalidations, truncations and
// reads at the edges of folios, of the file and of the possible file offsets are compared with a
// reference that knows only bytes: what is read, and which bytes were sent, each of them once.
#include <random>

#include "byte_reference.h"
#include "race_fixture.h"

namespace foliofs::cache {
namespace {

constexpr std::uint64_t kLimit = ByteRange::kNoEnd;  // a file has no byte at or beyond this

class RandomRanges {
 public:
  RandomRanges(std::uint64_t folio_size, unsigned seed) : folio_(folio_size), random_(seed) {}

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  // An offset for `length` bytes at an edge: of a folio, of the file, of 32 bits of bytes or of
  // pages, or the largest offset. They end there, or begin near it.
  std::uint64_t offset(std::uint64_t file_size, std::uint64_t length) {
    const std::uint64_t edges[] = {0,         folio_,     2 * folio_, file_size,
                                   file_size, 1ull << 32, 1ull << 44, kLimit};
    const std::uint64_t edge = edges[below(std::size(edges))];
    if (below(3) == 0) return edge - std::min(edge, length);
    const std::uint64_t steps[] = {0, 1, 2, 4095, 4096, folio_ - 1, folio_, below(2 * folio_)};
    const std::uint64_t step = steps[below(std::size(steps))];
    if (below(2) == 0) return edge - std::min(edge, step);
    return edge + std::min(kLimit - edge, step);
  }
  std::uint64_t length() {
    const std::uint64_t lengths[] = {1, 2, 3, 4095, 4096, 4097, folio_ - 1, folio_ + 1};
    return below(2) == 0 ? lengths[below(std::size(lengths))] : 1 + below(100);
  }
  std::string text(std::uint64_t length) {
    std::string text(length, '\0');
    for (char& byte : text) byte = static_cast<char>('a' + below(26));
    return text;
  }

 private:
  const std::uint64_t folio_;
  std::mt19937 random_;
};

// One run: steps that the mapping, the server and the reference take together.
class RangesRun {
 public:
  RangesRun(test::Loop& loop, Mapping& mapping, test::SparseStore& store, test::FakeKernel& kernel,
            InvalidateMode mode, std::uint64_t folio_size, unsigned seed)
      : loop_(loop),
        mapping_(mapping),
        store_(store),
        kernel_(kernel),
        mode_(mode),
        random_(folio_size, seed) {}

  void step() {
    store_.sent.clear();
    switch (random_.below(9)) {
      case 0:
      case 1:
      case 2:
        return store();
      case 3:
        return flush();
      case 4:
        return invalidate();
      case 5:
        return change_remotely_and_invalidate();
      case 6:
        return truncate();
      default:
        return read();
    }
  }
  // How often the run has met cases that it must meet to prove anything.
  int stores_refused = 0, stores_at_the_limit = 0, bytes_were_sent = 0, kept = 0;

 private:
  void store() {
    const std::string text = random_.text(random_.length());
    const std::uint64_t offset = random_.offset(model_.size, text.size());
    const bool fits = text.size() <= kLimit - offset;
    auto stored =
        loop_.run(mapping_.write(offset, std::as_bytes(std::span(text)), WriteSource::kSystemCall));
    ASSERT_EQ(stored.has_value(), fits) << offset;
    if (fits) model_.store(offset, text);
    if (fits && offset + text.size() == kLimit) ++stores_at_the_limit;
    if (!fits) ++stores_refused;
    ASSERT_EQ(mapping_.size(), model_.size);
  }

  void read() {
    const std::uint64_t length = random_.length();
    const ByteRange range = ByteRange::of(random_.offset(model_.size, length), length);
    auto result = loop_.run(mapping_.read(range, nullptr));
    ASSERT_TRUE(result);
    std::string text;
    for (const iovec& part : result.value().parts) {
      text.append(static_cast<const char*>(part.iov_base), part.iov_len);
    }
    ASSERT_EQ(result.value().bytes, text.size());
    ASSERT_EQ(text, model_.read(range)) << range.begin << " to " << range.end;
  }

  // Exactly the dirty bytes were sent, each once.
  void expect_sent() {
    ASSERT_EQ(store_.sent, model_.dirty);
    if (store_.sent != test::SparseBytes()) ++bytes_were_sent;
    model_.flushed();
    ASSERT_EQ(store_.bytes, model_.server);
    ASSERT_EQ(mapping_.dirty_bytes(), 0u);
  }

  void flush() {
    auto report = loop_.run(mapping_.flush({mode_, InvalidateReason::kSync, true}));
    ASSERT_FALSE(report.error);
    expect_sent();
  }

  void invalidate() {
    kernel_.unmapped.clear();
    auto report = loop_.run(mapping_.invalidate({mode_, InvalidateReason::kUser, true}));
    ASSERT_FALSE(report.error);
    expect_sent();
    expect_unmapped();
    ASSERT_EQ(mapping_.cached_bytes(), 0u);
  }

  // The kernel's pages of the whole file were dropped, too, and no range was inverted.
  void expect_unmapped() {
    RangeSet unmapped;
    for (ByteRange range : kernel_.unmapped) unmapped.add(range);
    ASSERT_TRUE(unmapped.contains(ByteRange::all()));
  }

  // Without a flush, what is dirty here stays, and is read among the new bytes.
  void change_remotely_and_invalidate() {
    const std::string text = random_.text(random_.length());
    const std::uint64_t offset =
        std::min(random_.offset(model_.size, text.size()), kLimit - text.size());
    store_.bytes.write(offset, text);
    store_.size = std::max(store_.size, offset + text.size());
    model_.server.write(offset, text);
    model_.size = std::max(model_.size, offset + text.size());
    auto report = loop_.run(mapping_.invalidate({mode_, InvalidateReason::kUser, false}));
    mapping_.set_server_size(store_.size);
    ASSERT_EQ(report.folios_kept > 0, model_.dirty != test::SparseBytes());
    if (report.folios_kept > 0) ++kept;
    ASSERT_EQ(store_.sent, test::SparseBytes());
    ASSERT_EQ(mapping_.size(), model_.size);
  }

  void truncate() {
    const std::uint64_t size = random_.offset(model_.size, random_.length());
    auto truncated = loop_.run(mapping_.truncate(size, [&]() -> Task<Status> {
      store_.bytes.cut(size);
      store_.size = size;
      co_return success();
    }));
    ASSERT_TRUE(truncated);
    model_.truncated(size);
    ASSERT_EQ(mapping_.size(), size);
  }

  test::Loop& loop_;
  Mapping& mapping_;
  test::SparseStore& store_;
  test::FakeKernel& kernel_;
  const InvalidateMode mode_;
  RandomRanges random_;
  test::ByteReference model_;
};

void run_ranges(test::Loop& loop, Cache& cache, std::shared_ptr<test::FakeKernel> kernel,
                InvalidateMode mode, unsigned seed) {
  auto store = std::make_shared<test::SparseStore>();
  auto mapping = cache.make_mapping(store, kernel, 0);
  RangesRun run(loop, *mapping, *store, *kernel, mode, cache.config().folio_size, seed);
  for (int step = 0; step < 500 && !testing::Test::HasFatalFailure(); ++step) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
    run.step();
  }
  EXPECT_GT(run.stores_refused, 0);
  EXPECT_GT(run.stores_at_the_limit, 0);
  EXPECT_GT(run.bytes_were_sent, 10);
  EXPECT_GT(run.kept, 10);
}

TEST_P(RaceTable, Row14_RangesOfFoliosOf4K) {
  open();
  for (unsigned seed : {1u, 2u, 3u}) run_ranges(loop, *cache, kernel, GetParam(), seed);
}

TEST_P(RaceTable, Row14_RangesOfFoliosOf64K) {
  CacheConfig config = small_config();
  config.folio_size = 64 << 10;
  open("", config);
  for (unsigned seed : {1u, 2u}) run_ranges(loop, *cache, kernel, GetParam(), seed);
}

// WRITEs that are smaller than a folio and end in its middle.
TEST_P(RaceTable, Row14_RangesOfFoliosThatAreSentInPieces) {
  CacheConfig config = small_config();
  config.folio_size = 64 << 10;
  config.max_io = 12 << 10;
  open("", config);
  for (unsigned seed : {3u}) run_ranges(loop, *cache, kernel, GetParam(), seed);
}

// A store in the window, over any part of what is being flushed and beyond it. In the end the
// server has every byte that was stored, and no other.
TEST_P(RaceTable, Row14_RangesStoredAfterSnapshot) {
  open();
  auto sparse = std::make_shared<test::SparseStore>();
  mapping = cache->make_mapping(sparse, kernel, 0);
  RandomRanges random(kFolio, 1);
  test::ByteReference model;
  for (int step = 0; step < 200 && !HasFatalFailure(); ++step) {
    SCOPED_TRACE(step);
    std::string texts[2];
    std::uint64_t offsets[2];
    for (int i : {0, 1}) {
      texts[i] = random.text(random.length());
      offsets[i] = std::min(random.offset(model.size, texts[i].size()), kLimit - texts[i].size());
    }
    ASSERT_TRUE(write(offsets[0], texts[0]));
    model.store(offsets[0], texts[0]);
    at(FaultPoint::kAfterSnapshot, [&] {
      mapped_store(offsets[1], texts[1]);
      model.store(offsets[1], texts[1]);
    });
    expect_honest(invalidate());
    EXPECT_FALSE(flush().error);
    model.flushed();
    ASSERT_EQ(sparse->bytes, model.server);
    ASSERT_EQ(mapping->dirty_bytes(), 0u);
  }
}

}  // namespace
}  // namespace foliofs::cache
