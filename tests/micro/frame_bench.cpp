// Encodes and decodes headers and metadata of the most frequent messages.
#include <benchmark/benchmark.h>

#include <string>

#include "foliofs/proto/messages.h"

namespace foliofs::proto {
namespace {

FrameHeader some_header() {
  FrameHeader header;
  header.type = MessageType::kRead;
  header.meta_bytes = 128;
  header.slot = 7;
  header.sequence = 12345;
  header.request_id = 67890;
  return header;
}

std::span<const std::byte> bytes_of(const MetaBuffer& meta) {
  return std::as_bytes(std::span(meta.data(), meta.size()));
}

wire::LookupRequestT some_lookup() {
  wire::LookupRequestT request;
  request.parent.assign(32, 7);
  request.name = "some_header_file.hpp";
  return request;
}

wire::ReadRequestT some_read() {
  wire::ReadRequestT request;
  request.offset = 1 << 20;
  return request;
}

void encode_frame_header(benchmark::State& state) {
  const FrameHeader header = some_header();
  for (auto _ : state) benchmark::DoNotOptimize(encode_header(header));
}
BENCHMARK(encode_frame_header);

void decode_frame_header(benchmark::State& state) {
  const HeaderBytes bytes = encode_header(some_header());
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_header(std::span<const std::byte, kHeaderBytes>(bytes)));
  }
}
BENCHMARK(decode_frame_header);

template <class Native>
void encode_table(benchmark::State& state, Native native) {
  for (auto _ : state) benchmark::DoNotOptimize(encode(native));
}
BENCHMARK_CAPTURE(encode_table, lookup, some_lookup());
BENCHMARK_CAPTURE(encode_table, read, some_read());

// Verifies metadata and reads it in place, as the server does.
template <class Native>
void view_table(benchmark::State& state, Native native) {
  const MetaBuffer meta = encode(native);
  for (auto _ : state) {
    benchmark::DoNotOptimize(view<typename Native::TableType>(bytes_of(meta)));
  }
}
BENCHMARK_CAPTURE(view_table, lookup, some_lookup());
BENCHMARK_CAPTURE(view_table, read, some_read());

// Verifies and unpacks metadata, as the client does with replies.
template <class Native>
void decode_table(benchmark::State& state, Native native) {
  const MetaBuffer meta = encode(native);
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode<typename Native::TableType>(bytes_of(meta)));
  }
}
BENCHMARK_CAPTURE(decode_table, lookup, some_lookup());
BENCHMARK_CAPTURE(decode_table, read, some_read());

}  // namespace
}  // namespace foliofs::proto
