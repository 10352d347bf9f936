// TCP: the only place in the client that knows network sockets.
//
// Reads and writes are tried at once and wait for the reactor only when the socket is not ready,
// which saves a trip through the reactor whenever it is.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "foliofs/rpc/transport.h"
#include "io_cursor.h"

namespace foliofs::rpc {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::size_t kMaxVectors = 1024;  // IOV_MAX
constexpr int kSocketBufferBytes = 4 << 20;
// The socket takes some MiB at once, and copying them would hold up the loop. So other coroutines
// run between pieces of this size.
constexpr std::size_t kPieceBytes = 256u << 10;

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

class TcpTransport final : public Transport {
 public:
  explicit TcpTransport(tcp::socket socket) : socket_(std::move(socket)) {}

  Task<Result<std::size_t>> read_some(std::span<const iovec> into) override {
    const auto vectors = static_cast<int>(std::min(into.size(), kMaxVectors));
    while (socket_.is_open()) {
      const ssize_t got = ::readv(socket_.native_handle(), into.data(), vectors);
      if (got > 0) co_return static_cast<std::size_t>(got);
      if (got == 0) break;
      if (errno == EINTR) continue;
      if (!would_block(errno)) co_return last_errno();
      co_await ready(tcp::socket::wait_read);
    }
    co_return Errno(ECONNRESET);
  }

  Task<Status> write_all(std::span<const iovec> from) override {
    IoCursor cursor(from, total_bytes(from));
    while (cursor.left_bytes() > 0) {
      if (!socket_.is_open()) co_return Errno(ECONNRESET);
      rest_.clear();
      cursor.append_rest(rest_, kMaxVectors, kPieceBytes);
      msghdr message{};
      message.msg_iov = rest_.data();
      message.msg_iovlen = rest_.size();
      const ssize_t put = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
      if (put >= 0) {
        cursor.advance(static_cast<std::size_t>(put));
        if (cursor.left_bytes() > 0) co_await asio::post(asio::use_awaitable);
        continue;
      }
      if (errno == EINTR) continue;
      if (!would_block(errno)) co_return last_errno();
      co_await ready(tcp::socket::wait_write);
    }
    co_return success();
  }

  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  // Waits until the socket may be tried again, or is closed.
  Task<void> ready(tcp::socket::wait_type what) {
    boost::system::error_code ignored;
    co_await socket_.async_wait(what, asio::redirect_error(asio::use_awaitable, ignored));
  }

  tcp::socket socket_;
  std::vector<iovec> rest_;  // of the write under way
};

// Sizes above the system's limit need CAP_NET_ADMIN. Without it this changes nothing: to set a size
// within the limit would turn off the kernel's own tuning, which is better.
void enlarge_buffers(tcp::socket& socket) {
  const int fd = socket.native_handle(), bytes = kSocketBufferBytes;
  (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
}

Status prepare(tcp::socket& socket) {
  boost::system::error_code error;
  socket.set_option(tcp::no_delay(true), error);
  if (!error) socket.set_option(tcp::socket::keep_alive(true), error);
  if (!error) socket.native_non_blocking(true, error);
  if (error) return Errno(error.value());
  enlarge_buffers(socket);
  return success();
}

// Shared with the handlers of the operations under way, which may run after the coroutine has given
// up. The coroutine waits for the timer; a handler that has a result cancels the timer.
struct Attempt {
  explicit Attempt(const Executor& executor)
      : timer(executor), resolver(executor), socket(executor) {}

  asio::steady_timer timer;
  tcp::resolver resolver;
  tcp::socket socket;
  bool finished = false;
  boost::system::error_code error;
  tcp::resolver::results_type endpoints;
};

Task<void> until_finished(std::shared_ptr<Attempt> attempt) {
  boost::system::error_code ignored;
  while (!attempt->finished && attempt->timer.expiry() > std::chrono::steady_clock::now()) {
    co_await attempt->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

Errno to_errno(const boost::system::error_code& error) {
  const bool of_system = error.category() == boost::system::system_category() ||
                         error.category() == boost::system::generic_category();
  return Errno(of_system && error.value() > 0 ? error.value() : EIO);
}

// Takes its arguments by value, because the connector may be gone before it ends.
Task<Result<std::unique_ptr<Transport>>> connect_tcp(std::string host, std::uint16_t port,
                                                     std::chrono::microseconds timeout_us) {
  auto executor = co_await asio::this_coro::executor;
  auto attempt = std::make_shared<Attempt>(executor);
  attempt->timer.expires_after(timeout_us);

  // Asio resolves names on a thread of its own. That cannot be interrupted, only waited for.
  attempt->resolver.async_resolve(
      host, std::to_string(port),
      [attempt](const boost::system::error_code& error, tcp::resolver::results_type found) {
        attempt->finished = true;
        attempt->error = error;
        attempt->endpoints = std::move(found);
        attempt->timer.cancel();
      });
  co_await until_finished(attempt);
  if (!attempt->finished) co_return Errno(ETIMEDOUT);
  if (attempt->error || attempt->endpoints.empty()) co_return Errno(ENXIO);

  attempt->finished = false;
  asio::async_connect(attempt->socket, attempt->endpoints,
                      [attempt](const boost::system::error_code& error, const tcp::endpoint&) {
                        attempt->finished = true;
                        attempt->error = error;
                        attempt->timer.cancel();
                      });
  co_await until_finished(attempt);
  if (!attempt->finished) {
    boost::system::error_code ignored;
    attempt->socket.close(ignored);
    co_return Errno(ETIMEDOUT);
  }
  if (attempt->error) co_return to_errno(attempt->error);
  auto prepared = prepare(attempt->socket);
  if (!prepared) co_return prepared.error();
  co_return std::make_unique<TcpTransport>(std::move(attempt->socket));
}

class TcpConnector final : public Connector {
 public:
  TcpConnector(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

  Task<Result<std::unique_ptr<Transport>>> connect(std::chrono::microseconds timeout_us) override {
    return connect_tcp(host_, port_, timeout_us);
  }

 private:
  std::string host_;
  std::uint16_t port_;
};

}  // namespace

std::unique_ptr<Connector> make_tcp_connector(std::string host, std::uint16_t port) {
  return std::make_unique<TcpConnector>(std::move(host), port);
}

}  // namespace foliofs::rpc
