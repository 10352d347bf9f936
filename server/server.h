// Server: the listener, the loops that serve its connections, and what they share.
//
// Not here: the command line (options.h) and signals (main.cpp).
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "server/connection.h"
#include "server/local_store.h"
#include "server/loop.h"
#include "server/options.h"
#include "server/services.h"

namespace foliofs::server {

class Server {
 public:
  explicit Server(Options options);
  // Stops the server if necessary.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Opens the exports, binds, and from then on serves in threads of its own. Sets the umask of the
  // process to 0, because clients send modes as they shall be. The refusal says what to do. Call at
  // most once.
  RefusalOr<void> start();

  // Ends every connection and session, and waits for the calls that are executing. Harmless when
  // repeated.
  void stop();

  // The listening address; the port is the real one when 0 was asked for. REQUIRES: started.
  const boost::asio::ip::tcp::endpoint& endpoint() const { return endpoint_; }
  // "listening on 127.0.0.1:7440, exports: a, b"
  std::string describe() const;

 private:
  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp,
                                                      boost::asio::io_context::executor_type>;

  // A loop and the connections on it; the list is accessed only on that loop.
  struct Worker {
    explicit Worker(std::chrono::microseconds poll) : loop(poll) {}
    Loop loop;
    std::vector<std::weak_ptr<Connection>> connections;
    bool closing = false;
  };

  RefusalOr<void> open_exports();
  // Why clients of the export get no leases, for the log; empty when they do get them.
  std::string watch_disk(Export& share);
  bool overlaps_another(const Export& share) const;
  RefusalOr<void> listen();
  Task<void> accept();
  Task<void> run_housekeeping();
  static void adopt(Worker& worker, int socket, Services& services);
  static void close_all(Worker& worker);

  const Options options_;
  Services services_;
  std::vector<std::unique_ptr<Worker>> workers_;
  // These run on the first worker's loop.
  std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<boost::asio::steady_timer> housekeeping_timer_;
  std::unique_ptr<boost::asio::steady_timer> retry_timer_;  // accepting, when it failed
  boost::asio::ip::tcp::endpoint endpoint_;
  bool stopping_ = false;
  bool started_ = false;
};

}  // namespace foliofs::server
