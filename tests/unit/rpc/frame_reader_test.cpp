#include "src/rpc/frame_reader.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstring>
#include <random>

#include "src/rpc/io_cursor.h"

namespace foliofs::rpc {
namespace {

// Returns its bytes in pieces of random size, across the iovecs of the caller.
class PieceTransport final : public Transport {
 public:
  PieceTransport(std::vector<std::byte> bytes, unsigned seed)
      : bytes_(std::move(bytes)), random_(seed) {}

  Task<Result<std::size_t>> read_some(std::span<const iovec> into) override {
    std::size_t piece = std::min<std::size_t>(1 + random_() % 40000, bytes_.size() - at_);
    piece = std::min(piece, total_bytes(into));
    if (piece == 0) co_return Errno(ECONNRESET);
    IoCursor(into, piece).copy_in(std::span(bytes_).subspan(at_, piece));
    at_ += piece;
    co_return piece;
  }
  Task<Status> write_all(std::span<const iovec>) override { co_return success(); }
  void close() override {}

 private:
  std::vector<std::byte> bytes_;
  std::size_t at_ = 0;
  std::mt19937 random_;
};

std::vector<std::byte> random_bytes(std::size_t count, std::mt19937& random) {
  std::vector<std::byte> bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// Reads the bytes in random steps: staged, direct into iovecs of odd sizes, or skipped.
Task<void> read_in_random_steps(FrameReader& reader, const std::vector<std::byte>& expected,
                                std::mt19937& random) {
  std::size_t at = 0;
  while (at < expected.size()) {
    const std::size_t left = expected.size() - at;
    const std::size_t step = std::min<std::size_t>(left, 1 + random() % (1u << (random() % 19)));
    const auto kind = random() % 3;
    if (kind == 0 && step <= FrameReader::kStagingBytes) {
      auto staged = co_await reader.stage(step);
      EXPECT_TRUE(staged);
      if (!staged) co_return;
      const auto taken = reader.take(step);
      EXPECT_EQ(std::memcmp(taken.data(), expected.data() + at, step), 0);
    } else if (kind == 1) {
      auto skipped = co_await reader.skip(step);
      EXPECT_TRUE(skipped);
    } else {
      std::vector<std::byte> memory(step);
      std::vector<iovec> vectors;
      for (std::size_t done = 0; done < step;) {
        const std::size_t size = std::min<std::size_t>(step - done, random() % 5000);
        vectors.push_back({memory.data() + done, size});
        done += size;
      }
      auto read = co_await reader.read(vectors, step);
      EXPECT_TRUE(read);
      EXPECT_EQ(std::memcmp(memory.data(), expected.data() + at, step), 0);
    }
    at += step;
  }
  auto end = co_await reader.stage(reader.staged_bytes() + 1);
  EXPECT_FALSE(end) << "not a byte more than was sent";
}

TEST(FrameReader, GivesEveryByteOnceWhateverTheSteps) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto bytes = random_bytes(600000, random);
    boost::asio::io_context io;
    SystemClock clock;
    PieceTransport transport(bytes, seed);
    FrameReader reader(transport, clock);
    bool ended = false;
    auto task = [&]() -> Task<void> {
      co_await read_in_random_steps(reader, bytes, random);
      ended = true;
    };
    boost::asio::co_spawn(io, task(), boost::asio::detached);
    io.run();
    ASSERT_TRUE(ended);
    ASSERT_FALSE(HasFailure());
  }
}

TEST(IoCursor, SkipsEmptyVectors) {
  std::array<std::byte, 4> memory{};
  const iovec vectors[] = {{nullptr, 0}, {memory.data(), 1}, {nullptr, 0}, {memory.data() + 1, 3}};
  const std::array<std::byte, 3> from{std::byte{1}, std::byte{2}, std::byte{3}};
  IoCursor cursor(vectors, 4);
  cursor.copy_in(from);
  EXPECT_EQ(memory[2], std::byte{3});
  std::vector<iovec> rest;
  EXPECT_EQ(cursor.append_rest(rest, 8), 1u);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].iov_base, memory.data() + 3);
}

TEST(IoCursor, NamesNoMoreThanItsShareOfTheVectors) {
  std::array<std::byte, 10> memory{};
  const iovec vectors[] = {{memory.data(), 4}, {memory.data() + 4, 6}};
  std::vector<iovec> rest;
  EXPECT_EQ(IoCursor(vectors, 5).append_rest(rest, 8), 5u);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[1].iov_len, 1u);
  rest.clear();
  EXPECT_EQ(IoCursor(vectors, 10).append_rest(rest, 1), 4u);
}

}  // namespace
}  // namespace foliofs::rpc
