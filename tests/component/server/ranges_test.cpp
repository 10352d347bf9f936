// Appends, allocation, seeking and copies against a real server on a real directory.
#include <fcntl.h>
#include <linux/falloc.h>

#include <thread>

#include "tests/component/server/fixture.h"

namespace foliofs::server {
namespace {

class Ranges : public ServerTest {
 protected:
  static auto append(RawClient& client, std::uint64_t open_id, std::string_view data,
                     std::uint32_t flags = 0) {
    wire::WriteRequestT request;
    request.open_id = open_id;
    request.offset = 12345;  // ignored in an append
    request.flags = proto::kWriteAppend | flags;
    return client.call(request, data);
  }
  static auto scatter(RawClient& client, std::uint64_t open_id,
                      const std::vector<wire::WriteRange>& ranges, std::string_view data,
                      std::uint32_t flags = 0) {
    wire::WriteRequestT request;
    request.open_id = open_id;
    request.flags = proto::kWriteRanges | flags;
    request.ranges = ranges;
    return client.call(request, data);
  }
  static auto allocate(RawClient& client, std::uint64_t open_id, std::uint32_t mode,
                       std::uint64_t offset, std::uint64_t length) {
    wire::AllocateRequestT request;
    request.open_id = open_id;
    request.mode = mode;
    request.offset = offset;
    request.length = length;
    return client.call(request);
  }
  static auto seek(RawClient& client, std::uint64_t open_id, std::uint64_t offset, bool data) {
    wire::SeekRequestT request;
    request.open_id = open_id;
    request.offset = offset;
    request.data = data;
    return client.call(request);
  }
  static auto copy(RawClient& client, std::uint64_t from, std::uint64_t from_offset,
                   std::uint64_t to, std::uint64_t to_offset, std::uint64_t length) {
    wire::CopyRangeRequestT request;
    request.from_open = from;
    request.from_offset = from_offset;
    request.to_open = to;
    request.to_offset = to_offset;
    request.length = length;
    return client.call(request);
  }
};

TEST_F(Ranges, OneWriteFillsSeveralRanges) {
  auto client = connect();
  const auto id = client->create(client->root(), "f").value().reply.open_id;
  ASSERT_TRUE(client->write(id, 0, "0123456789"));
  auto wrote = scatter(*client, id, {{7, 1}, {2, 3}, {12, 2}}, "abcdEF");
  ASSERT_TRUE(wrote);
  EXPECT_EQ(wrote.value().reply.attributes->size(), 14u);
  EXPECT_EQ(client->read(id, 0, 64).value().payload, std::string("01bcd56a89\0\0EF", 14));
}

TEST_F(Ranges, RangesThatAreNotThePayloadsAreRefused) {
  auto client = connect();
  const auto id = client->create(client->root(), "f").value().reply.open_id;
  ASSERT_TRUE(client->write(id, 0, "0123"));
  const std::vector<wire::WriteRange> wrong[] = {
      {},
      {{0, 1}, {2, 0}, {3, 1}},
      {{0, 1}},
      {{0, 1}, {2, 2}},
      {{0, 1}, {2, UINT64_MAX}},
      std::vector<wire::WriteRange>(kMaxWriteRanges + 1, {0, 1}),
  };
  for (const auto& ranges : wrong) {
    const std::string data(ranges.size() > 3 ? ranges.size() : 2, 'x');
    EXPECT_EQ(errno_of(scatter(*client, id, ranges, data)), EINVAL) << ranges.size();
  }
  EXPECT_EQ(errno_of(scatter(*client, id, {{0, 1}, {2, 1}}, "xx", proto::kWriteAppend)), EINVAL);
  EXPECT_EQ(errno_of(scatter(*client, id, {{0, 1}, {INT64_MAX, 1}}, "xx")), EFBIG);
  EXPECT_EQ(client->read(id, 0, 64).value().payload, "0123");
}

TEST_F(Ranges, AppendsSayWhereTheyLanded) {
  auto client = connect();
  auto made = client->create(client->root(), "f");
  ASSERT_TRUE(made);
  const auto id = made.value().reply.open_id;
  ASSERT_TRUE(client->write(id, 0, "0123"));
  auto appended = append(*client, id, "abc");
  ASSERT_TRUE(appended);
  EXPECT_EQ(appended.value().reply.offset, 4u);
  EXPECT_EQ(appended.value().reply.attributes->size(), 7u);
  std::ofstream(tree() / "f", std::ios::app) << "others";
  EXPECT_EQ(append(*client, id, "!").value().reply.offset, 13u);
  EXPECT_EQ(file_content("f"), "0123abcothers!");
  EXPECT_EQ(errno_of(append(*client, id, "")), EINVAL);
  EXPECT_EQ(errno_of(append(*client, id, "x", proto::kWriteSetMtime)), EINVAL);
}

TEST_F(Ranges, ARetryOfAnAppendAppendsNothing) {
  auto client = connect();
  const auto id = client->create(client->root(), "f").value().reply.open_id;
  wire::WriteRequestT request;
  request.open_id = id;
  request.flags = proto::kWriteAppend;
  const auto header = client->next(MessageType::kWrite, 3);
  ASSERT_TRUE(client->exchange(header, request, "once"));
  client->hang_up();
  auto again = std::make_unique<RawClient>(port());
  ASSERT_TRUE(again->hello("data", client->session()));
  again->take_over(*client);
  auto replayed = again->exchange(header, request, "once");
  ASSERT_TRUE(replayed);
  EXPECT_EQ(replayed.value().reply.offset, 0u);
  EXPECT_EQ(file_content("f"), "once");
}

// SEMANTICS: append-is-atomic
TEST_F(Ranges, AppendsOfSeveralSessionsDoNotOverlap) {
  constexpr int kEach = 200;
  const std::string line(99, 'x');
  auto run = [&](char who) {
    auto client = connect();
    const auto id = client->create(client->root(), "log", O_WRONLY).value().reply.open_id;
    std::uint64_t last = 0;
    for (int i = 0; i < kEach; ++i) {
      auto appended = append(*client, id, who + line);
      ASSERT_TRUE(appended);
      ASSERT_TRUE(i == 0 || appended.value().reply.offset > last);
      last = appended.value().reply.offset;
      EXPECT_EQ(last % 100, 0u);
    }
  };
  std::thread first(run, 'a'), second(run, 'b');
  first.join();
  second.join();
  const std::string all = file_content("log");
  ASSERT_EQ(all.size(), 2u * kEach * 100);
  int of_first = 0;
  for (std::size_t at = 0; at < all.size(); at += 100) {
    EXPECT_EQ(all.substr(at + 1, 99), line);
    of_first += all[at] == 'a';
  }
  EXPECT_EQ(of_first, kEach);
}

TEST_F(Ranges, AllocateGrowsPunchesAndSaysWhatItCannot) {
  auto client = connect();
  const auto id = client->create(client->root(), "f").value().reply.open_id;
  ASSERT_TRUE(client->write(id, 0, std::string(16384, 'a')));
  auto grown = allocate(*client, id, 0, 16384, 4096);
  ASSERT_TRUE(grown);
  EXPECT_EQ(grown.value().reply.attributes->size(), 20480u);
  auto kept = allocate(*client, id, FALLOC_FL_KEEP_SIZE, 0, 1 << 20);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept.value().reply.attributes->size(), 20480u);
  ASSERT_TRUE(allocate(*client, id, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096));
  EXPECT_EQ(file_content("f").substr(4095, 4098), "a" + std::string(4096, '\0') + "a");

  EXPECT_EQ(errno_of(allocate(*client, id, 0, 0, 0)), EINVAL);
  EXPECT_EQ(errno_of(allocate(*client, id, 0, INT64_MAX, 1)), EFBIG);
  EXPECT_EQ(errno_of(allocate(*client, id, 1u << 20, 0, 1)), EOPNOTSUPP);
  EXPECT_EQ(errno_of(allocate(*client, id + 1, 0, 0, 1)), EBADF);
  const auto reading = client->open(client->lookup(client->root(), "f").value().reply.handle);
  ASSERT_TRUE(reading);
  EXPECT_EQ(errno_of(allocate(*client, reading.value().reply.open_id, 0, 0, 1)), EBADF);
}

// They work if the underlying filesystem can move the bytes after a range.
TEST_F(Ranges, CollapseAndInsertWhereTheFilesystemHasThem) {
  put_file("probe", std::string(32768, 'p'));
  const UniqueFd probe(::open((tree() / "probe").c_str(), O_RDWR | O_CLOEXEC));
  const bool has = ::fallocate(probe.get(), FALLOC_FL_COLLAPSE_RANGE, 4096, 4096) == 0;
  const int expected = has ? 0 : errno;
  auto client = connect();
  const auto id = client->create(client->root(), "f").value().reply.open_id;
  const std::string a(4096, 'a'), b(4096, 'b');
  ASSERT_TRUE(client->write(id, 0, a + b + a));
  EXPECT_EQ(errno_of(allocate(*client, id, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096)), expected);
  EXPECT_EQ(file_content("f"), has ? a + a : a + b + a);
}

TEST_F(Ranges, SeekFindsDataAndHoles) {
  auto client = connect();
  const auto id = client->create(client->root(), "f").value().reply.open_id;
  ASSERT_TRUE(client->write(id, 1 << 20, "data"));
  auto hole = seek(*client, id, 0, false);
  ASSERT_TRUE(hole);
  EXPECT_EQ(hole.value().reply.offset, 0u);
  auto data = seek(*client, id, 0, true);
  ASSERT_TRUE(data);
  EXPECT_EQ(data.value().reply.offset, 1u << 20);
  EXPECT_EQ(seek(*client, id, 1 << 20, false).value().reply.offset, (1u << 20) + 4);
  EXPECT_EQ(errno_of(seek(*client, id, (1 << 20) + 4, true)), ENXIO);
  EXPECT_EQ(errno_of(seek(*client, id, std::uint64_t{1} << 63, true)), ENXIO);
}

TEST_F(Ranges, CopiesBetweenTwoOpens) {
  auto client = connect();
  const auto from = client->create(client->root(), "from").value().reply.open_id;
  const auto to = client->create(client->root(), "to").value().reply.open_id;
  ASSERT_TRUE(client->write(from, 0, "0123456789"));
  auto copied = copy(*client, from, 2, to, 3, 5);
  ASSERT_TRUE(copied);
  EXPECT_EQ(copied.value().reply.copied, 5u);
  EXPECT_EQ(copied.value().reply.from->size(), 10u);
  EXPECT_EQ(copied.value().reply.to->size(), 8u);
  EXPECT_EQ(file_content("to"), std::string("\0\0\00023456", 8));
  EXPECT_EQ(copy(*client, from, 8, to, 0, 100).value().reply.copied, 2u) << "the source ends";
  EXPECT_EQ(copy(*client, from, 10, to, 0, 100).value().reply.copied, 0u);
  EXPECT_EQ(errno_of(copy(*client, from, 0, from, 2, 5)), EINVAL) << "they overlap";
  EXPECT_EQ(errno_of(copy(*client, from, 0, to, INT64_MAX, 5)), EFBIG);
  EXPECT_EQ(errno_of(copy(*client, from + 99, 0, to, 0, 5)), EBADF);
}

TEST_F(Ranges, ALongCopyIsCutToPieces) {
  auto client = connect();
  const auto from = client->create(client->root(), "from").value().reply.open_id;
  const auto to = client->create(client->root(), "to").value().reply.open_id;
  fs::resize_file(tree() / "from", std::uintmax_t{200} << 20);
  auto copied = copy(*client, from, 0, to, 0, std::uint64_t{200} << 20);
  ASSERT_TRUE(copied);
  EXPECT_GT(copied.value().reply.copied, 0u);
  EXPECT_LE(copied.value().reply.copied, std::uint64_t{64} << 20);
}

TEST_F(Ranges, AReadOnlySessionChangesNothing) {
  put_file("f", "content");
  auto client = connect("ro");
  const auto handle = client->lookup(client->root(), "f").value().reply.handle;
  const auto id = client->open(handle).value().reply.open_id;
  EXPECT_EQ(errno_of(allocate(*client, id, 0, 0, 1)), EROFS);
  EXPECT_EQ(errno_of(copy(*client, id, 0, id, 0, 1)), EROFS);
  EXPECT_EQ(errno_of(append(*client, id, "x")), EROFS);
  EXPECT_EQ(seek(*client, id, 0, true).value().reply.offset, 0u);
}

}  // namespace
}  // namespace foliofs::server
