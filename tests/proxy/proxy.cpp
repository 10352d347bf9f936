#include "tests/proxy/proxy.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <sstream>
#include <vector>

namespace foliofs::test {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kChunkBytes = 64 << 10;
// A pipe that holds this much takes in no more. It is enough for the bytes that a fast line takes
// in during the longest delay in use.
constexpr std::size_t kPipeBytes = 32 << 20;

struct Chunk {
  std::vector<char> bytes;
  Clock::time_point taken;
};

std::string error(const std::string& why) {
  return "error: " + why;
}

}  // namespace

// One direction of a connection.
struct Proxy::Pipe {
  Pipe(Direction which, tcp::socket& reads, tcp::socket& writes, asio::io_context& context)
      : direction(which), from(reads), to(writes), timer(context) {}

  const Direction direction;
  tcp::socket& from;
  tcp::socket& to;
  std::deque<Chunk> chunks;
  std::size_t held_bytes = 0;
  bool ended = false;           // nothing more will be taken in
  Clock::time_point free_at{};  // when the bandwidth allows the next byte
  WaitQueue changed;
  asio::steady_timer timer;  // until_due() waits on it
};

struct Proxy::Connection {
  explicit Connection(asio::io_context& context, tcp::socket accepted)
      : client(std::move(accepted)),
        server(context),
        up(Direction::kUp, client, server, context),
        down(Direction::kDown, server, client, context) {}

  tcp::socket client, server;
  Pipe up, down;
  int parts = 0;  // coroutines that still work on it
  bool over = false;
};

Proxy::Proxy(asio::io_context& context, std::uint16_t port, Endpoint server)
    : context_(context),
      acceptor_(context, Endpoint(asio::ip::address_v4::loopback(), port)),
      server_(std::move(server)) {
  spawn(context_.get_executor(), "proxy", accept_all());
}

Proxy::~Proxy() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  reset_all();
}

std::uint16_t Proxy::port() const {
  return acceptor_.local_endpoint().port();
}

std::uint64_t Proxy::forwarded_bytes(Direction direction) const {
  return direction == Direction::kUp ? up_bytes_ : down_bytes_;
}

Task<void> Proxy::accept_all() {
  boost::system::error_code failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  while (acceptor_.is_open()) {
    tcp::socket socket = co_await acceptor_.async_accept(token);
    if (failure) co_return;
    if (refusing_) continue;  // closed at once
    socket.set_option(tcp::no_delay(true));
    auto connection = std::make_shared<Connection>(context_, std::move(socket));
    connections_.push_back(connection);
    connection->parts = 1;
    spawn(context_.get_executor(), "proxy connection", connect(*this, connection));
  }
}

Task<void> Proxy::connect(Proxy& proxy, ConnectionRef connection) {
  boost::system::error_code failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  co_await connection->server.async_connect(proxy.server_, token);
  if (failure) proxy.reset(*connection);
  if (!connection->over) {
    connection->server.set_option(tcp::no_delay(true));
    connection->parts += 4;
    for (Pipe* pipe : {&connection->up, &connection->down}) {
      spawn(proxy.context_.get_executor(), "proxy in", take_in(proxy, connection, *pipe));
      spawn(proxy.context_.get_executor(), "proxy out", let_out(proxy, connection, *pipe));
    }
  }
  proxy.part_ended(connection);
}

Task<void> Proxy::take_in(Proxy& proxy, ConnectionRef connection, Pipe& pipe) {
  boost::system::error_code failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  while (!connection->over) {
    if (pipe.held_bytes >= kPipeBytes) {
      co_await pipe.changed.wait();
      continue;
    }
    std::vector<char> bytes(kChunkBytes);
    const std::size_t got = co_await pipe.from.async_read_some(asio::buffer(bytes), token);
    if (failure) break;
    bytes.resize(got);
    pipe.held_bytes += got;
    pipe.chunks.push_back({std::move(bytes), Clock::now()});
    pipe.changed.wake_all();
  }
  pipe.ended = true;
  pipe.changed.wake_all();
  proxy.part_ended(connection);
}

// Returns when the first byte of the pipe, or its end, may go out.
Task<void> Proxy::until_due(Proxy& proxy, ConnectionRef connection, Pipe& pipe) {
  while (!connection->over) {
    const Line& line = proxy.line(pipe.direction);
    const bool nothing = pipe.chunks.empty() && !pipe.ended;
    if (line.held || nothing) {
      co_await pipe.changed.wait();
      continue;
    }
    if (pipe.chunks.empty()) co_return;
    const auto due = std::max(pipe.chunks.front().taken + line.delay_us, pipe.free_at);
    if (due <= Clock::now()) co_return;
    boost::system::error_code ignored;
    pipe.timer.expires_at(due);
    co_await pipe.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

Task<void> Proxy::let_out(Proxy& proxy, ConnectionRef connection, Pipe& pipe) {
  boost::system::error_code failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  for (;;) {
    co_await until_due(proxy, connection, pipe);
    if (connection->over || pipe.chunks.empty()) break;
    Chunk chunk = std::move(pipe.chunks.front());
    pipe.chunks.pop_front();
    Line& line = proxy.line(pipe.direction);
    std::size_t bytes = chunk.bytes.size();
    const bool cuts = line.cut_after && *line.cut_after <= bytes;
    if (cuts) bytes = *line.cut_after;
    if (line.cut_after) *line.cut_after -= bytes;
    if (line.bytes_per_second > 0) {
      const auto takes = std::chrono::duration<double>(static_cast<double>(bytes) /
                                                       static_cast<double>(line.bytes_per_second));
      pipe.free_at =
          std::max(pipe.free_at, Clock::now()) + std::chrono::duration_cast<Clock::duration>(takes);
    }
    if (cuts) line.cut_after.reset();
    co_await asio::async_write(pipe.to, asio::buffer(chunk.bytes.data(), bytes), token);
    (pipe.direction == Direction::kUp ? proxy.up_bytes_ : proxy.down_bytes_) += bytes;
    if (cuts || failure) proxy.reset(*connection);
    pipe.held_bytes -= chunk.bytes.size();
    pipe.changed.wake_all();
  }
  boost::system::error_code ignored;
  if (!connection->over) pipe.to.shutdown(tcp::socket::shutdown_send, ignored);
  proxy.part_ended(connection);
}

void Proxy::part_ended(const ConnectionRef& connection) {
  if (--connection->parts == 0) connections_.remove(connection);
}

// Both ends get a reset, as from a router that has forgotten the connection.
void Proxy::reset(Connection& connection) {
  connection.over = true;
  boost::system::error_code ignored;
  for (tcp::socket* socket : {&connection.client, &connection.server}) {
    socket->set_option(asio::socket_base::linger(true, 0), ignored);
    socket->close(ignored);
  }
  for (Pipe* pipe : {&connection.up, &connection.down}) {
    pipe->timer.cancel();
    pipe->changed.wake_all();
  }
}

void Proxy::reset_all() {
  for (const auto& connection : connections_) reset(*connection);
}

void Proxy::changed() {
  for (const auto& connection : connections_) {
    for (Pipe* pipe : {&connection->up, &connection->down}) {
      pipe->timer.cancel();
      pipe->changed.wake_all();
    }
  }
}

std::string Proxy::run_command(std::string_view command) {
  std::istringstream words{std::string(command)};
  std::string verb, which;
  std::uint64_t number = 0;
  words >> verb;
  const auto directions = [&](const std::string& name) -> std::vector<Line*> {
    if (name == "up") return {&up_};
    if (name == "down") return {&down_};
    if (name == "both") return {&up_, &down_};
    return {};
  };
  if (verb == "delay_us" || verb == "bandwidth") {
    if (!(words >> number)) return error(verb + " needs a number");
    for (Line* line : {&up_, &down_}) {
      if (verb == "delay_us") line->delay_us = std::chrono::microseconds(number);
      if (verb == "bandwidth") line->bytes_per_second = number;
    }
  } else if (verb == "hold") {
    words >> which;
    const auto lines = directions(which);
    if (lines.empty()) return error("hold what: up, down or both");
    for (Line* line : lines) line->held = true;
  } else if (verb == "release") {
    up_.held = down_.held = false;
  } else if (verb == "cut") {
    reset_all();
  } else if (verb == "cut_after") {
    words >> number >> which;
    const auto lines = directions(which);
    if (!words || lines.size() != 1) return error("cut_after N up|down");
    lines.front()->cut_after = number;
  } else if (verb == "refuse" || verb == "accept") {
    refusing_ = verb == "refuse";
  } else if (verb == "stats") {
    return "ok connections " + std::to_string(connections_.size()) + " up " +
           std::to_string(up_bytes_) + " down " + std::to_string(down_bytes_);
  } else {
    return error("no command \"" + verb + "\"");
  }
  changed();
  return "ok";
}

}  // namespace foliofs::test
