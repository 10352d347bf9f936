// For which bytes of a file that is being written the server starts writeback to the disk.
#include "server/write_stream.h"

#include <gtest/gtest.h>

namespace foliofs::server {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kKept = WriteStream::kKept;

// Writes [begin, end) in pieces of 1 MiB. Returns the range whose writeback has begun; its pieces
// must be adjacent.
ByteRange write_through(WriteStream& stream, std::uint64_t begin, std::uint64_t end) {
  ByteRange all;
  for (std::uint64_t at = begin; at < end; at += kMiB) {
    const auto begun = stream.wrote(ByteRange::of(at, kMiB));
    if (!begun) continue;
    EXPECT_FALSE(begun->empty());
    if (all.empty()) {
      all = *begun;
    } else {
      EXPECT_EQ(begun->begin, all.end);
      all.end = begun->end;
    }
  }
  return all;
}

TEST(WriteStreamTest, AShortFileIsLeftToTheKernel) {
  WriteStream stream;
  EXPECT_TRUE(write_through(stream, 0, WriteStream::kStep + kKept - kMiB).empty());
}

TEST(WriteStreamTest, ALongOneIsHandedOverOnceButForItsEnd) {
  WriteStream stream;
  EXPECT_EQ(write_through(stream, 0, 256 * kMiB), (ByteRange{0, 256 * kMiB - kKept}));
}

TEST(WriteStreamTest, WritesThatOvertakeEachOtherAreOneStream) {
  WriteStream stream;
  ByteRange all;
  for (std::uint64_t at = 0; at < 64 * kMiB; at += 2 * kMiB) {
    for (const std::uint64_t begin : {at + kMiB, at}) {
      if (const auto begun = stream.wrote(ByteRange::of(begin, kMiB))) all.end = begun->end;
    }
  }
  EXPECT_GE(all.end, 64 * kMiB - kKept - WriteStream::kStep);
}

TEST(WriteStreamTest, AnotherPlaceIsAnotherStream) {
  WriteStream stream;
  for (std::uint64_t round = 0; round < 8; ++round) {
    const std::uint64_t begin = (round % 2) * 1024 * kMiB;
    EXPECT_TRUE(write_through(stream, begin, begin + 12 * kMiB).empty());
  }
  EXPECT_EQ(write_through(stream, 512 * kMiB, 544 * kMiB),
            (ByteRange{512 * kMiB, 544 * kMiB - kKept}));
}

TEST(WriteStreamTest, FewBytesFarApartAreNoStream) {
  WriteStream stream;
  for (std::uint64_t at = 0; at < 1024 * kMiB; at += WriteStream::kDisorder) {
    EXPECT_FALSE(stream.wrote(ByteRange::of(at, 4096)));
  }
}

TEST(WriteStreamTest, TheSameBytesAgainAndAgainAreNone) {
  WriteStream stream;
  for (int round = 0; round < 100; ++round) {
    EXPECT_TRUE(write_through(stream, 0, 4 * kMiB).empty());
  }
}

}  // namespace
}  // namespace foliofs::server
