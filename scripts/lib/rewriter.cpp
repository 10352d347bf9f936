// A writer that never closes its file: fills it, then rewrites random 4 KiB blocks of it until
// SIGTERM.
//
// Writes the same bytes to a second, local file, so that the two can be compared afterwards: a byte
// that the share lost shows as a difference. Prints "ready" after the fill; at the end, the number
// of rewrites and the longest one as JSON. It neither syncs nor compares; the share reports a
// writeback error at close.
//
// usage: rewriter FILE LOCAL_COPY SIZE_BYTES

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <thread>

namespace {

constexpr std::size_t kBlockBytes = 4096;
constexpr auto kPause = std::chrono::microseconds(200);

volatile std::sig_atomic_t stop_requested = 0;

using Block = std::array<std::uint64_t, kBlockBytes / sizeof(std::uint64_t)>;

// Each store has its own pattern, so that an old version of a block never passes for the new one.
Block make_block(std::uint64_t store_number) {
  Block block;
  std::iota(block.begin(), block.end(), store_number << 16);
  return block;
}

bool write_block(int fd, const Block& block, std::uint64_t block_index) {
  const auto offset = static_cast<off_t>(block_index * kBlockBytes);
  return ::pwrite(fd, block.data(), kBlockBytes, offset) == static_cast<ssize_t>(kBlockBytes);
}

int fail(const char* what) {
  std::perror(what);
  return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: rewriter FILE LOCAL_COPY SIZE_BYTES\n", stderr);
    return 2;
  }
  std::signal(SIGTERM, [](int) { stop_requested = 1; });
  const int shared = ::open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const int local = ::open(argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (shared < 0 || local < 0) return fail("open");

  const std::uint64_t blocks = std::strtoull(argv[3], nullptr, 10) / kBlockBytes;
  std::uint64_t stores = 0;
  const auto store = [&](std::uint64_t block_index) {
    const Block block = make_block(++stores);
    return write_block(local, block, block_index) && write_block(shared, block, block_index);
  };
  for (std::uint64_t index = 0; index < blocks; ++index) {
    if (!store(index)) return fail("write");
  }
  std::puts("ready");
  std::fflush(stdout);

  std::mt19937_64 random(1);
  std::int64_t longest_us = 0;
  while (stop_requested == 0) {
    const auto begin = std::chrono::steady_clock::now();
    if (!store(random() % blocks)) return fail("write");
    const auto took = std::chrono::steady_clock::now() - begin;
    longest_us = std::max<std::int64_t>(
        longest_us, std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    std::this_thread::sleep_for(kPause);
  }
  if (::close(shared) != 0) return fail("close");
  std::printf("{\"rewrites\":%llu,\"longest_us\":%lld}\n",
              static_cast<unsigned long long>(stores - blocks), static_cast<long long>(longest_us));
  return EXIT_SUCCESS;
}
