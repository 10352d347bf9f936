#include "foliofs/control/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "foliofs/control/runtime_dir.h"
#include "json_line.h"
#include "peer_credentials.h"

namespace foliofs::control {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

// Longest line that we accept from a daemon.
constexpr std::size_t kMaxLineBytes = 4 << 20;

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Errno(ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  // Not blocking: a daemon that hangs would block us in connect().
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return last_errno();
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return last_errno();
  }
  return fd;
}

// Waits for `events` until `deadline`, or without limit if there is none. ETIMEDOUT.
Status wait_for(int fd, short events, std::optional<Clock::time_point> deadline) {
  for (;;) {
    int wait_ms = -1;
    if (deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
      wait_ms = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, wait_ms);
    if (ready > 0) return success();
    if (ready == 0) return Errno(ETIMEDOUT);
    if (errno != EINTR) return last_errno();
  }
}

Status send_all(int fd, std::string_view bytes, std::optional<Clock::time_point> deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      BOOST_OUTCOME_TRY(wait_for(fd, POLLOUT, deadline));
    } else if (errno != EINTR) {
      return last_errno();
    }
  }
  return success();
}

std::optional<Clock::time_point> deadline_after(ControlClient::Timeout timeout) {
  if (!timeout) return std::nullopt;
  return Clock::now() + *timeout;
}

}  // namespace

Result<ControlClient> ControlClient::attach(const std::string& socket_path, uid_t owner) {
  BOOST_OUTCOME_TRY(auto socket, connect_to(socket_path));
  BOOST_OUTCOME_TRY(const ucred listener, peer_credentials(socket.get()));
  if (listener.uid != 0 && listener.uid != owner) return Errno(EPERM);
  return ControlClient(std::move(socket), DaemonProcess(listener.pid));
}

RefusalOr<ControlClient> ControlClient::connect(const MountEntry& entry) {
  Errno error(ENOENT);
  for (const std::string& path : socket_candidates(entry.owner, entry.device)) {
    auto client = attach(path, entry.owner);
    if (client) return std::move(client.value());
    if (error == Errno(ENOENT)) error = client.error();
  }
  if (error == Errno(ENOENT) || error == Errno(ECONNREFUSED)) {
    return Refusal{"no daemon answers for " + entry.mount_point};
  }
  if (error == Errno(EACCES) || error == Errno(EPERM)) {
    return Refusal{"only root and the user who mounted " + entry.mount_point + " may do this"};
  }
  return Refusal{"cannot reach the daemon of " + entry.mount_point + ": " + errno_text(error)};
}

RefusalOr<json> ControlClient::call(const json& request, Timeout timeout,
                                    const std::function<void(const json&)>& on_progress) {
  const auto deadline = deadline_after(timeout);
  const auto sent = send_all(socket_.get(), to_line(request), deadline);
  // A daemon that turns us away has sent the reason before it closed.
  if (!sent && sent.error() != Errno(EPIPE)) {
    return Refusal{"the daemon does not take the request: " + errno_text(sent.error())};
  }
  for (;;) {
    Timeout left;
    if (deadline) {
      left = std::max(std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()),
                      std::chrono::milliseconds(0));
    }
    auto message = next_line(left);
    if (!message) return message.error();
    json& reply = message.value();
    if (const auto result = reply.find("result"); result != reply.end()) return *result;
    if (const auto refusal = reply.find("refusal"); refusal != reply.end()) {
      return Refusal{refusal->is_string() ? refusal->get<std::string>() : "refused"};
    }
    const auto progress = reply.find("progress");
    if (progress != reply.end() && on_progress) on_progress(*progress);
  }
}

RefusalOr<json> ControlClient::next_line(Timeout timeout) {
  const auto deadline = deadline_after(timeout);
  for (;;) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      json message = parse_line(std::string_view(received_).substr(0, end));
      received_.erase(0, end + 1);
      if (!message.is_object()) return Refusal{"the daemon's answer is not understood"};
      return message;
    }
    if (received_.size() > kMaxLineBytes) return Refusal{"the daemon's answer is too long"};
    if (const auto ready = wait_for(socket_.get(), POLLIN, deadline); !ready) {
      return Refusal{"the daemon (pid " + std::to_string(daemon_.pid()) + ") does not answer"};
    }
    char bytes[16 << 10];
    const ssize_t length = ::recv(socket_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (length > 0) {
      received_.append(bytes, static_cast<std::size_t>(length));
    } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
      return Refusal{"the daemon has gone"};
    }
  }
}

RefusalOr<json> ask_daemon(const MountEntry& entry, const json& request,
                           ControlClient::Timeout timeout) {
  BOOST_OUTCOME_TRY(auto client, ControlClient::connect(entry));
  return client.call(request, timeout);
}

}  // namespace foliofs::control
