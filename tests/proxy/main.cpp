// foliofs-proxy LISTEN_PORT SERVER_PORT [CONTROL_PORT]: a bad network between a client and a server
// on this machine. It reads commands as lines over TCP on CONTROL_PORT (default LISTEN_PORT + 1),
// and answers each with one line. proxy.h lists them. From a shell:
//
//   exec 3<>/dev/tcp/127.0.0.1/7442; echo 'delay_us 5000' >&3; read -r answer <&3
//
// Ends with SIGTERM or SIGINT.
#include <boost/asio.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/proxy/proxy.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using foliofs::Task;

constexpr std::size_t kMaxCommandBytes = 1024;

Task<void> serve(foliofs::test::Proxy& proxy, tcp::socket socket) {
  std::string received;
  boost::system::error_code failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  for (;;) {
    auto buffer = asio::dynamic_buffer(received, kMaxCommandBytes);
    const std::size_t length = co_await asio::async_read_until(socket, buffer, '\n', token);
    if (failure) co_return;
    const std::string answer = proxy.run_command(received.substr(0, length - 1)) + '\n';
    received.erase(0, length);
    co_await asio::async_write(socket, asio::buffer(answer), token);
    if (failure) co_return;
  }
}

Task<void> listen(foliofs::test::Proxy& proxy, tcp::acceptor& acceptor) {
  boost::system::error_code failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  while (acceptor.is_open()) {
    tcp::socket socket = co_await acceptor.async_accept(token);
    if (failure) co_return;
    foliofs::spawn(acceptor.get_executor(), "control", serve(proxy, std::move(socket)));
  }
}

// 0 if `word` is not a port.
std::uint16_t port_of(const char* word) {
  char* end = nullptr;
  const unsigned long number = std::strtoul(word, &end, 10);
  return *word != '\0' && *end == '\0' && number < 65536 ? static_cast<std::uint16_t>(number) : 0;
}

int run(int argc, char** argv) {
  const bool good = argc == 3 || argc == 4;
  const std::uint16_t port = good ? port_of(argv[1]) : 0;
  const std::uint16_t server = good ? port_of(argv[2]) : 0;
  const auto control =
      argc == 4 ? port_of(argv[3]) : static_cast<std::uint16_t>(port == 0 ? 0 : port + 1);
  if (port == 0 || server == 0 || control == 0) {
    std::fputs("usage: foliofs-proxy LISTEN_PORT SERVER_PORT [CONTROL_PORT]\n", stderr);
    return 2;
  }
  asio::io_context context{1};
  const auto loopback = asio::ip::address_v4::loopback();
  foliofs::test::Proxy proxy(context, port, tcp::endpoint(loopback, server));
  tcp::acceptor acceptor(context, tcp::endpoint(loopback, control));
  foliofs::spawn(context.get_executor(), "control", listen(proxy, acceptor));
  asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](boost::system::error_code, int) { context.stop(); });
  context.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "foliofs-proxy: %s\n", error.what());
    return 1;
  }
}
