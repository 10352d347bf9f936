// Proxy: a TCP proxy that acts as a bad network: slow, narrow, cut at a byte, silent.
//
// Each connection is two one-way pipes. A pipe takes in bytes as they arrive, up to a bound, and
// lets each out when it is due: after the delay, no faster than the bandwidth, not while it is
// held. These conditions belong to the proxy and apply to present and future connections; a cut
// happens once.
//
// Single-threaded: everything runs on the loop of the io_context, which must have stopped before
// the proxy is destroyed.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "foliofs/base/task.h"
#include "foliofs/base/wait_queue.h"

namespace foliofs::test {

enum class Direction { kUp, kDown };  // to the server, to the client

// What one direction of every connection is like.
struct Line {
  std::chrono::microseconds delay_us{0};  // of each byte; half of a round trip
  std::uint64_t bytes_per_second = 0;     // 0: no bound
  bool held = false;                      // bytes are taken in, but neither they nor the end go out
  std::optional<std::uint64_t> cut_after;  // bytes until a reset of both directions
};

class Proxy {
 public:
  using Endpoint = boost::asio::ip::tcp::endpoint;

  // Listens on 127.0.0.1:`port` (0: any) for connections to `server`. Throws when it cannot.
  Proxy(boost::asio::io_context& context, std::uint16_t port, Endpoint server);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  std::uint16_t port() const;
  std::size_t connections() const { return connections_.size(); }
  std::uint64_t forwarded_bytes(Direction direction) const;

  // Runs one command and returns "ok" or "error: why":
  //   delay_us N               delays each direction, so that a round trip takes 2 N longer
  //   bandwidth N              bytes a second in each direction; 0: no bound
  //   hold up|down|both        with both, connections are half-open
  //   release                  ends every hold
  //   cut                      resets every connection now
  //   cut_after N up|down      lets out N more bytes, then resets the connection of the last one
  //   refuse | accept          refuses or accepts new connections
  //   stats                    returns "ok connections N up N down N"
  std::string run_command(std::string_view command);

 private:
  struct Pipe;
  struct Connection;
  using ConnectionRef = std::shared_ptr<Connection>;

  Line& line(Direction direction) { return direction == Direction::kUp ? up_ : down_; }
  Task<void> accept_all();
  static Task<void> connect(Proxy& proxy, ConnectionRef connection);
  static Task<void> take_in(Proxy& proxy, ConnectionRef connection, Pipe& pipe);
  static Task<void> let_out(Proxy& proxy, ConnectionRef connection, Pipe& pipe);
  static Task<void> until_due(Proxy& proxy, ConnectionRef connection, Pipe& pipe);
  void changed();
  void reset(Connection& connection);
  void reset_all();
  void part_ended(const ConnectionRef& connection);

  boost::asio::io_context& context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  const Endpoint server_;
  Line up_, down_;
  std::uint64_t up_bytes_ = 0, down_bytes_ = 0;
  bool refusing_ = false;
  std::list<ConnectionRef> connections_;
};

}  // namespace foliofs::test
