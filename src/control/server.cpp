#include "foliofs/control/server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <optional>

#include "foliofs/base/wait_queue.h"
#include "json_line.h"
#include "peer_credentials.h"

namespace foliofs::control {
namespace {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
using nlohmann::json;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// The errno of getsockopt().
Result<Peer> peer_of(int fd) {
  BOOST_OUTCOME_TRY(const ucred credentials, peer_credentials(fd));
  Peer peer{credentials.pid, credentials.uid, credentials.gid, {}};
  socklen_t groups_size = 0;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, nullptr, &groups_size) != 0 && errno == ERANGE) {
    peer.groups.resize(groups_size / sizeof(gid_t));
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &groups_size) != 0) {
      return last_errno();
    }
  }
  return peer;
}

// States: reading -> running -> writing -> reading …; it may be closed at any time.
struct Connection {
  Connection(Protocol::socket connected, const asio::any_io_executor& executor)
      : socket(std::move(connected)), deadline(executor) {}

  Protocol::socket socket;
  asio::steady_timer deadline;
  bool reading = false;
  bool watching = false;
};

// Sends without waiting; drops the message if the peer's buffer is full.
void send_at_once(Connection& connection, const json& message) {
  if (!connection.socket.is_open()) return;
  const std::string line = to_line(message);
  ::send(connection.socket.native_handle(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

class ControlServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Executor executor, CommandHandler& handler, ControlLimits limits)
      : executor_(std::move(executor)), handler_(handler), limits_(limits), acceptor_(executor_) {}

  Status listen(const std::string& path) {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) return Errno(ENAMETOOLONG);
    ::unlink(path.c_str());
    boost::system::error_code error;
    acceptor_.open(Protocol(), error);
    if (!error) acceptor_.bind(Protocol::endpoint(path), error);
    if (error) return Errno(error.value());
    struct stat status {};
    if (::chmod(path.c_str(), 0600) != 0 || ::lstat(path.c_str(), &status) != 0) {
      const Errno failure = last_errno();
      ::unlink(path.c_str());
      return failure;
    }
    path_ = path;
    inode_ = status.st_ino;
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      withdraw();
      return Errno(error.value());
    }
    ++tasks_;
    spawn(executor_, "control listener", accept_all(shared_from_this()));
    return success();
  }

  void announce(const json& message) {
    for (const auto& connection : connections_) {
      if (connection->watching) send_at_once(*connection, message);
    }
  }

  void withdraw() {
    struct stat status {};
    if (!path_.empty() && ::lstat(path_.c_str(), &status) == 0 && status.st_ino == inode_) {
      ::unlink(path_.c_str());
    }
    path_.clear();
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  }

  Task<void> stop() {
    stopping_ = true;
    withdraw();
    for (const auto& connection : connections_) {
      if (connection->reading) close(*connection);
    }
    while (tasks_ > 0) co_await ended_.wait();
  }

 private:
  using ConnectionRef = std::shared_ptr<Connection>;

  static void close(Connection& connection) {
    boost::system::error_code ignored;
    connection.deadline.cancel();
    connection.socket.close(ignored);
  }

  // Closes the connection after the peer timeout, unless disarm() is called first.
  void arm(const ConnectionRef& connection) {
    connection->deadline.expires_after(limits_.peer_timeout_ms);
    connection->deadline.async_wait([connection](boost::system::error_code error) {
      if (!error) close(*connection);
    });
  }

  static void disarm(Connection& connection) { connection.deadline.cancel(); }

  void task_ended() {
    --tasks_;
    ended_.wake_all();
  }

  static Task<void> accept_all(std::shared_ptr<Impl> self) {
    while (self->acceptor_.is_open()) {
      auto [error, socket] = co_await self->acceptor_.async_accept(kAwait);
      if (error) {
        if (!self->acceptor_.is_open() || error == asio::error::bad_descriptor) break;
        // Out of descriptors or memory, which will take a while to become free.
        asio::steady_timer pause(self->executor_, std::chrono::milliseconds(100));
        co_await pause.async_wait(kAwait);
        continue;
      }
      self->take_in(std::move(socket));
    }
    self->task_ended();
  }

  void take_in(Protocol::socket socket) {
    const auto peer = peer_of(socket.native_handle());
    auto connection = std::make_shared<Connection>(std::move(socket), executor_);
    if (!peer || (peer.value().uid != 0 && peer.value().uid != ::geteuid())) {
      send_at_once(*connection, refusal_reply("only root and the user who mounted may do this"));
      return;
    }
    if (connections_.size() >= limits_.connections) {
      send_at_once(*connection, refusal_reply("too many control connections; try again later"));
      return;
    }
    connections_.push_back(connection);
    ++tasks_;
    spawn(executor_, "control connection",
          serve(shared_from_this(), std::move(connection), peer.value()));
  }

  static Task<void> serve(std::shared_ptr<Impl> self, ConnectionRef connection, Peer peer) {
    std::string received;
    while (connection->socket.is_open() && !self->stopping_) {
      const auto line = co_await self->read_line(connection, received);
      if (!line) break;
      const bool delivered = co_await self->answer(connection, peer, *line);
      if (!delivered) break;
    }
    close(*connection);
    std::erase(self->connections_, connection);
    self->task_ended();
  }

  // Empty if the connection is over.
  Task<std::optional<std::string>> read_line(const ConnectionRef& connection,
                                             std::string& received) {
    auto buffer = asio::dynamic_buffer(received, limits_.line_bytes);
    // A connection that watches sends nothing more; we only wait for it to be closed.
    if (!connection->watching) arm(connection);
    connection->reading = true;
    auto [error, length] =
        co_await asio::async_read_until(connection->socket, buffer, '\n', kAwait);
    connection->reading = false;
    disarm(*connection);
    if (error == asio::error::not_found) {
      send_at_once(*connection, refusal_reply("the request is too long"));
    }
    if (error) co_return std::nullopt;
    std::string line = received.substr(0, length);
    received.erase(0, length);
    co_return line;
  }

  Task<bool> answer(const ConnectionRef& connection, Peer peer, std::string line) {
    json request = parse_line(line);
    json reply;
    if (!request.is_object()) {
      reply = refusal_reply("the request is not an object in JSON");
    } else if (request.value("command", json()) == "watch") {
      connection->watching = true;
      reply = result_reply(nullptr);
    } else {
      Progress progress = [connection](const json& state) {
        json message = json::object();
        message["progress"] = state;
        send_at_once(*connection, message);
      };
      reply = co_await handler_.run(std::move(peer), std::move(request), std::move(progress));
    }
    const std::string text = to_line(reply);
    arm(connection);
    const auto bytes = asio::buffer(text);
    auto [error, written] = co_await asio::async_write(connection->socket, bytes, kAwait);
    disarm(*connection);
    co_return !error;
  }

  Executor executor_;
  CommandHandler& handler_;
  const ControlLimits limits_;
  Protocol::acceptor acceptor_;
  std::string path_;  // empty unless the socket has this name
  ino_t inode_ = 0;
  std::vector<ConnectionRef> connections_;
  std::size_t tasks_ = 0;  // the listener and the connections
  bool stopping_ = false;
  WaitQueue ended_;
};

ControlServer::ControlServer(Executor executor, CommandHandler& handler, ControlLimits limits)
    : impl_(std::make_shared<Impl>(std::move(executor), handler, limits)) {}

ControlServer::~ControlServer() {
  impl_->withdraw();
}

Status ControlServer::listen(const std::string& path) {
  return impl_->listen(path);
}

void ControlServer::announce(const nlohmann::json& message) {
  impl_->announce(message);
}

void ControlServer::withdraw() {
  impl_->withdraw();
}

Task<void> ControlServer::stop() {
  return impl_->stop();
}

}  // namespace foliofs::control
