#include "tests/sim/server.h"

#include "foliofs/base/limits.h"

namespace foliofs::sim {

using server::Admission;

// One connection: reads requests from the wire and writes replies to it.
class SimServer::Connection final : public server::ReplySink,
                                    public std::enable_shared_from_this<Connection> {
 public:
  Connection(SimServer& owner, std::shared_ptr<Wire> wire, int client)
      : server_(owner), wire_(std::move(wire)), client_(client) {}

  static Task<void> serve(std::shared_ptr<Connection> self) {
    for (;;) {
      auto frame = co_await self->receive();
      if (!frame) break;
      if (!self->handle(std::move(frame.value()))) break;
    }
    self->wire_->cut();
    if (self->session_) self->session_->detach(self.get(), std::chrono::steady_clock::now());
  }

  void deliver(server::Outgoing frame) override {
    if (wire_->to_client.is_cut()) return;
    const auto header = proto::encode_header(frame.header);
    wire_->to_client.write(header);
    wire_->to_client.write(std::as_bytes(std::span(frame.meta->data(), frame.meta->size())));
    wire_->to_client.write(frame.payload.bytes());
  }
  void fence() override { wire_->cut(); }

 private:
  struct Frame {
    proto::FrameHeader header;
    std::vector<std::byte> meta, payload;
  };

  Task<Status> read_all(std::span<std::byte> into) {
    while (!into.empty()) {
      const iovec part{into.data(), into.size()};
      auto got = co_await wire_->to_server.read_some(std::span(&part, 1));
      if (!got) co_return got.error();
      into = into.subspan(got.value());
    }
    co_return success();
  }

  Task<Result<Frame>> receive() {
    proto::HeaderBytes bytes;
    auto status = co_await read_all(bytes);
    if (!status) co_return status.error();
    auto header = proto::decode_header(bytes);
    if (!header) co_return header.error();
    Frame frame;
    frame.header = header.value();
    frame.meta.resize(frame.header.meta_bytes);
    frame.payload.resize(frame.header.payload_bytes);
    status = co_await read_all(frame.meta);
    if (status) status = co_await read_all(frame.payload);
    if (!status) co_return status.error();
    co_return frame;
  }

  // False when the connection must end.
  bool handle(Frame frame) {
    if (frame.header.type == proto::MessageType::kHello) {
      auto request = proto::decode<wire::HelloRequest>(frame.meta);
      if (!request) return false;
      deliver(server::make_frame(frame.header,
                                 server_.hello(request.value(), shared_from_this(), session_)));
      return session_ != nullptr;
    }
    const server::Handler* handler = server::find_handler(frame.header.type);
    if (session_ == nullptr || handler == nullptr || !handler->verify(frame.meta)) return false;
    auto admitted = session_->admit(frame.header, shared_from_this(), handler->idempotent);
    switch (admitted.admission) {
      case Admission::kFenced:
      case Admission::kOutOfOrder:
        return false;
      case Admission::kWait:
        return true;
      case Admission::kReplay:
        deliver(std::move(admitted.reply));
        return true;
      case Admission::kExecute:
        break;
    }
    auto call = std::make_shared<server::Call>();
    call->session = session_;
    call->header = frame.header;
    call->meta = std::move(frame.meta);
    call->payload = server_.buffers_.take(frame.payload.size());
    if (!frame.payload.empty()) {
      std::memcpy(call->payload.bytes().data(), frame.payload.data(), frame.payload.size());
    }
    call->buffers = &server_.buffers_;
    server_.execute(*handler, std::move(call), client_);
    return true;
  }

  SimServer& server_;
  const std::shared_ptr<Wire> wire_;
  const int client_;
  std::shared_ptr<server::Session> session_;
};

class SimServer::SimConnector final : public rpc::Connector {
 public:
  SimConnector(SimServer& server, int client) : server_(server), client_(client) {}
  Task<Result<std::unique_ptr<rpc::Transport>>> connect(std::chrono::microseconds) override {
    std::unique_ptr<rpc::Transport> transport =
        std::make_unique<WireTransport>(server_.connect(client_));
    co_return transport;
  }

 private:
  SimServer& server_;
  const int client_;
};

SimServer::SimServer(Executor executor, Clock& clock, Random& random,
                     std::unique_ptr<MemoryStore> store)
    : executor_(std::move(executor)), clock_(clock), random_(random), store_(store.get()) {
  export_.options.name = "share";
  export_.store = std::move(store);
  export_.leases->open();
  sessions_.emplace_back();
}

std::unique_ptr<rpc::Connector> SimServer::connector_for(int client) {
  return std::make_unique<SimConnector>(*this, client);
}

std::shared_ptr<Wire> SimServer::connect(int client) {
  auto wire = std::make_shared<Wire>(random_);
  std::erase_if(wires_, [](const auto& known) { return known.second.expired(); });
  wires_.emplace_back(client, wire);
  spawn(executor_, "connection",
        Connection::serve(std::make_shared<Connection>(*this, wire, client)));
  return wire;
}

server::Reply SimServer::hello(const wire::HelloRequestT& request, const server::SinkRef& sink,
                               std::shared_ptr<server::Session>& session) {
  wire::HelloReplyT reply;
  if (!request.session.empty()) {
    session = sessions_.back().find(request.session);
    reply.resumed = session != nullptr;
  }
  if (session == nullptr) {
    const bool wants_leases = (request.features & proto::kFeatureLeases) != 0;
    auto begun = sessions_.back().begin(export_, request.read_only, wants_leases, request.slots);
    if (!begun) return server::make_error(begun.error());
    session = begun.value();
  }
  (void)session->attach(sink);
  reply.version = proto::kVersion;
  if (session->wants_leases()) reply.features = proto::kFeatureLeases;
  reply.session.assign(session->id().begin(), session->id().end());
  reply.slots = session->slots();
  reply.max_payload = kMaxPayloadBytes;
  const server::Handle root = store_->root();
  reply.root.assign(root.begin(), root.end());
  const server::Identity nobody;
  auto attributes = store_->attributes({nobody, session->number()}, {root.data(), root.size()});
  reply.root_attributes = std::make_unique<wire::Attributes>(attributes.value());
  reply.server_name = "sim";
  reply.grace_us = 90'000'000;
  reply.write_verifier = 1;
  if (reply.resumed) reply.slot_sequences = session->sequences();
  return server::make_reply(proto::encode(reply));
}

Duration SimServer::some_time() {
  if (slowness.count() == 0 || random_.one_in(2)) return Duration::zero();
  // Now and then long enough for other clients to make many calls meanwhile.
  const std::uint64_t most =
      static_cast<std::uint64_t>(slowness.count()) * (random_.one_in(8) ? 16 : 1);
  return Duration(static_cast<std::int64_t>(random_.below(most + 1)));
}

void SimServer::execute(const server::Handler& handler, std::shared_ptr<server::Call> call,
                        int client) {
  spawn(executor_, "call", run_call(&handler, std::move(call), client, run_));
}

Task<void> SimServer::run_call(const server::Handler* handler, std::shared_ptr<server::Call> call,
                               int client, std::uint64_t run) {
  Duration wait = some_time();
  if (wait.count() != 0) co_await clock_.sleep(wait);
  if (run != run_) co_return;
  executing_for_ = client;
  const std::uint64_t number = ++calls_;
  auto result = server::run_handler(*handler, *call, server::Place::kPool);
  executing_for_ = -1;
  if (!result && result.error() == server::kLeaseHeld) {
    run_again(handler, std::move(call), client);
    co_return;
  }
  server::Reply reply = result ? std::move(result.value()) : server::make_error(result.error());
  wait = some_time();
  if (wait.count() != 0) co_await clock_.sleep(wait);
  if (run != run_) co_return;
  answer(*handler, std::move(call), std::move(reply), client, number);
}

void SimServer::answer(const server::Handler& handler, std::shared_ptr<server::Call> call,
                       server::Reply reply, int client, std::uint64_t number) {
  auto frame =
      std::make_shared<server::Outgoing>(server::make_frame(call->header, std::move(reply)));
  auto answered = std::make_shared<bool>(false);
  auto done = [this, number, session = call->session, frame, answered, run = run_,
               idempotent = handler.idempotent] {
    *answered = true;
    if (run == run_ && on_answered) on_answered(number);
    session->complete(std::move(*frame), idempotent);
  };
  if (call->recalls.empty()) return done();
  if (on_recall) on_recall(client);
  call->recalls.send(clock_.now(), std::move(done));
  spawn(executor_, "overdue recalls", revoke_overdue(client, answered, run_));
}

void SimServer::run_again(const server::Handler* handler, std::shared_ptr<server::Call> call,
                          int client) {
  if (on_recall) on_recall(client);
  auto answered = std::make_shared<bool>(false);
  auto recalls = std::exchange(call->recalls, {});
  recalls.send(clock_.now(), [this, answered, handler, call, client, run = run_] {
    *answered = true;
    if (run == run_) execute(*handler, call, client);
  });
  spawn(executor_, "overdue recalls", revoke_overdue(client, answered, run_));
}

// As Server::keep_house(), which runs once a second.
Task<void> SimServer::revoke_overdue(int client, std::shared_ptr<bool> answered,
                                     std::uint64_t run) {
  constexpr std::uint64_t kRoundUs = 1'000'000;
  co_await clock_.sleep(kRecallPatience + Duration(1 + random_.below(kRoundUs)));
  if (*answered || run != run_) co_return;
  if (on_overdue) on_overdue(client);
  sessions_.back().revoke_overdue_leases(clock_.now(), kRecallPatience);
}

void SimServer::cut(int client) {
  for (const auto& [of, weak] : wires_) {
    auto wire = weak.lock();
    if (wire && of == client) wire->cut();
  }
}

void SimServer::hold(int client, bool to_server, bool held) {
  for (const auto& [of, weak] : wires_) {
    auto wire = weak.lock();
    if (wire && of == client) (to_server ? wire->to_server : wire->to_client).hold(held);
  }
}

void SimServer::restart() {
  ++run_;
  for (const auto& [of, weak] : wires_) {
    if (auto wire = weak.lock()) wire->cut();
  }
  for (const auto& session : sessions_.back().take_all()) session->end();
  sessions_.emplace_back();
  store_->restart();
}

}  // namespace foliofs::sim
