// What it costs to find the handler of a request and the call of a reply, without executing them.
#include <benchmark/benchmark.h>

#include "foliofs/proto/messages.h"
#include "server/call.h"
#include "src/rpc/call_table.h"

namespace foliofs {
namespace {

// The server: finds the handler by the frame's type, and verifies the frame's metadata.
void server_finds_handler(benchmark::State& state) {
  wire::LookupRequestT request;
  request.parent.assign(32, 7);
  request.name = "some_header_file.hpp";
  const proto::MetaBuffer meta = proto::encode(request);
  const auto bytes = std::as_bytes(std::span(meta.data(), meta.size()));
  for (auto _ : state) {
    const server::Handler* handler = server::find_handler(proto::MessageType::kLookup);
    benchmark::DoNotOptimize(handler->verify(bytes));
  }
}
BENCHMARK(server_finds_handler);

class StoppedClock final : public Clock {
 public:
  TimePoint now() const override { return {}; }
  std::int64_t wall_ns() const override { return 0; }
  Task<void> sleep(Duration) override { co_return; }
};

// The client: a call gets a slot, is sent, and is found again when its reply comes; the argument is
// the number of other calls under way.
void client_call_through_table(benchmark::State& state) {
  StoppedClock clock;
  rpc::RpcStats stats;
  rpc::CallTable calls(clock, stats);
  calls.begin_session(256, 1);
  std::vector<std::unique_ptr<rpc::Call>> others;
  for (auto i = state.range(0); i > 0; --i) {
    others.push_back(std::make_unique<rpc::Call>(proto::MessageType::kRead, proto::MetaBuffer(),
                                                 rpc::Payload{}, 0));
    calls.submit(*others.back());
    calls.unpin(*calls.next_to_send());
  }
  for (auto _ : state) {
    rpc::Call call(proto::MessageType::kRead, proto::MetaBuffer(), rpc::Payload{}, 0);
    calls.submit(call);
    calls.unpin(*calls.next_to_send());
    rpc::Call* found = nullptr;
    calls.find(call.request_id, found);
    calls.answered(*found, rpc::RawReply{});
  }
  calls.drop_all(Errno(ENOTCONN));
}
BENCHMARK(client_call_through_table)->Arg(0)->Arg(200);

}  // namespace
}  // namespace foliofs
