// Measures the most that loopback TCP gives two threads that poll and do nothing but use their
// sockets: the round trip of a small message, and a stream of 1 MiB messages. scripts/bench takes
// it as a limit.
//
// usage: tcp_echo SECONDS        prints {"round_trip_us": …, "stream_mib_s": …}
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kSmallBytes = 128;  // a frame with the metadata of a small call
constexpr std::size_t kLargeBytes = 1 << 20;

void check(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

// The two ends of a connection over 127.0.0.1, both non-blocking.
std::pair<int, int> connection() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  check(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
  check(::listen(listener, 1) == 0, "listen");
  check(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  const int near = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(::connect(near, reinterpret_cast<sockaddr*>(&address), size) == 0, "connect");
  const int far = ::accept(listener, nullptr, nullptr);
  check(far >= 0, "accept");
  ::close(listener);
  const int on = 1;
  for (const int end : {near, far}) {
    ::setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::fcntl(end, F_SETFL, O_NONBLOCK);
  }
  return {near, far};
}

// Repeats `call` until all bytes are transferred. False at the end of the stream and on an error.
template <class Call>
bool transfer(Call call, std::size_t size) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t bytes = call(done, size - done);
    if (bytes > 0) {
      done += static_cast<std::size_t>(bytes);
    } else if (bytes == 0 || (errno != EAGAIN && errno != EINTR)) {
      return false;
    } else {
      ::sched_yield();
    }
  }
  return true;
}

bool receive(int end, std::vector<char>& buffer, std::size_t size) {
  return transfer([&](auto at, auto left) { return ::recv(end, buffer.data() + at, left, 0); },
                  size);
}

bool send(int end, const std::vector<char>& buffer, std::size_t size) {
  return transfer(
      [&](auto at, auto left) { return ::send(end, buffer.data() + at, left, MSG_NOSIGNAL); },
      size);
}

// How many messages a second: `size` bytes one way, a small answer for each, `in_flight` messages
// on their way at any time.
double exchanges_per_second(std::size_t size, int in_flight, double seconds) {
  const auto [near, far] = connection();
  std::thread server([far = far, size] {
    std::vector<char> buffer(kLargeBytes);
    while (receive(far, buffer, size) && send(far, buffer, kSmallBytes)) {
    }
    ::close(far);
  });
  std::vector<char> buffer(kLargeBytes), answer(kSmallBytes);
  for (int i = 0; i < in_flight; ++i) check(send(near, buffer, size), "send");
  long count = 0;
  const auto began = Clock::now();
  while (seconds_since(began) < seconds) {
    check(receive(near, answer, kSmallBytes), "recv");
    check(send(near, buffer, size), "send");
    ++count;
  }
  const double rate = static_cast<double>(count) / seconds_since(began);
  ::close(near);
  server.join();
  return rate;
}

}  // namespace

int main(int count, char** words) {
  const double seconds = count == 2 ? std::strtod(words[1], nullptr) : 0;
  if (seconds <= 0) return 2;
  const double trips = exchanges_per_second(kSmallBytes, 1, seconds);
  const double streams = exchanges_per_second(kLargeBytes, 4, seconds);
  std::printf("{\"round_trip_us\": %.2f, \"stream_mib_s\": %.0f}\n", 1e6 / trips,
              streams * static_cast<double>(kLargeBytes) / (1 << 20));
}
