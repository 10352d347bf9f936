#include "server/server.h"

#include <fmt/format.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <charconv>
#include <fstream>

#include "foliofs/base/log.h"
#include "server/credentials.h"
#include "server/random.h"
#include "server/state_key.h"

namespace foliofs::server {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

unsigned choose_threads(unsigned asked) {
  return asked != 0 ? asked : std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
}

std::size_t descriptor_limit() {
  rlimit limit{};
  const bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return known ? limit.rlim_cur : 65536;
}

// An open file takes two descriptors: its own, and that of its node. Open files and their nodes get
// three eighths of the limit each, and one client gets half of that.
void limit_opens(OpenBudget& budget) {
  budget.total = std::max<std::size_t>(descriptor_limit() * 3 / 8, 1);
  budget.per_session = std::max<std::size_t>(budget.total / 2, 1);
}

// Nodes of files that are not open use the room of open files' nodes: a table that is full of the
// latter keeps hardly any others. With several exports, all open files may be in one of them while
// the tables of the others are full too; these others get a sixteenth of the descriptors.
std::size_t nodes_per_export(std::size_t exports) {
  const std::size_t limit = descriptor_limit();
  const std::size_t nodes = exports > 1 ? limit / 16 / (exports - 1) : limit * 3 / 8;
  return std::clamp<std::size_t>(nodes, 16, 16384);
}

// Sessions and pending connections take one connection each; together they get an eighth of the
// descriptors. The rest is for what calls need while they run.
std::size_t max_sessions() {
  return std::clamp<std::size_t>(descriptor_limit() / 12, 4, 4096);
}
std::size_t max_pending_connections() {
  return std::clamp<std::size_t>(descriptor_limit() / 32, 4, 256);
}

// For each export. A thread that sleeps on the disk costs nothing, but with many exports they add
// up.
std::size_t pool_threads(std::size_t exports) {
  return std::clamp<std::size_t>(64 / std::max<std::size_t>(exports, 1), 2, 8);
}

// Detects a client that vanished without a word: by probes when the connection is idle, and by
// unacknowledged replies when it is not.
void set_socket_options(Connection::Socket& socket) {
  const int fd = socket.native_handle();
  const auto set = [fd](int level, int option, int value) {
    (void)::setsockopt(fd, level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);  // milliseconds
}

// Data that was written and not committed is in the memory of this machine. It is lost when the
// machine goes down, not when this process ends, so the verifier is the same for as long as the
// machine runs. If the boot cannot be identified, the verifier is for this run only, which costs
// clients a second transfer but loses no bytes.
std::uint64_t make_write_verifier() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot;
  file >> boot;
  std::erase(boot, '-');
  std::uint64_t verifier = 0;
  const char* end = boot.data() + std::min<std::size_t>(boot.size(), 16);
  const auto parsed = std::from_chars(boot.data(), end, verifier, 16);
  return parsed.ec == std::errc() ? verifier : random_value<std::uint64_t>();
}

UniqueFd open_root(const Export& share) {
  return UniqueFd(::open(share.options.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", address, endpoint.port())
                                    : fmt::format("{}:{}", address, endpoint.port());
}

}  // namespace

Server::Server(Options options)
    : options_(std::move(options)), services_(max_sessions(), max_pending_connections()) {
  services_.grace = options_.grace;
  services_.hello_timeout = options_.hello_timeout;
  services_.write_verifier = make_write_verifier();
  limit_opens(services_.sessions.open_budget());
}

Server::~Server() {
  stop();
}

// --- Start --------------------------------------------------------------------------------------

RefusalOr<void> Server::start() {
  const unsigned threads = choose_threads(options_.threads);
  for (unsigned i = 0; i < threads; ++i) {
    workers_.push_back(std::make_unique<Worker>(options_.poll));
  }
  BOOST_OUTCOME_TRYV(open_exports());
  BOOST_OUTCOME_TRYV(listen());
  if (!can_act_as_others()) {
    log_info("not root: every call is made as user {}, whoever asks", ::geteuid());
  }
  asio::io_context& first = workers_.front()->loop.context();
  housekeeping_timer_ = std::make_unique<asio::steady_timer>(first);
  retry_timer_ = std::make_unique<asio::steady_timer>(first);
  spawn(first.get_executor(), "acceptor", accept());
  spawn(first.get_executor(), "housekeeping", run_housekeeping());
  ::umask(0);
  for (auto& worker : workers_) worker->loop.start();
  started_ = true;
  return success();
}

RefusalOr<void> Server::open_exports() {
  const std::string state_dir =
      options_.state_dir.empty() ? default_state_dir() : options_.state_dir;
  const StateKey key = load_state_key(state_dir);
  if (!key.why_ephemeral.empty()) {
    log_warn("handles will not outlive this run: {}", key.why_ephemeral);
  }
  for (const ExportOptions& share : options_.exports) {
    LocalStoreOptions local;
    local.path = share.path;
    local.name = share.name;
    local.secret = key.bytes;
    local.max_nodes = nodes_per_export(options_.exports.size());
    local.handles = options_.handles;
    auto store = LocalStore::open_tree(local);
    if (!store) {
      return Refusal{fmt::format("export {}: cannot serve {}: {}; name an existing directory",
                                 share.name, share.path, errno_text(store.error()))};
    }
    const std::string remark = store.value()->remark();
    if (!remark.empty()) log_warn("export {}: {}", share.name, remark);
    services_.exports.emplace(
        share.name,
        Export{.options = share,
               .store = std::move(store.value()),
               .pool = std::make_unique<BlockingPool>(pool_threads(options_.exports.size()))});
  }
  for (auto& [name, share] : services_.exports) {
    const std::string why_not = watch_disk(share);
    if (!why_not.empty()) log_info("export {}: no leases, {}", name, why_not);
  }
  return success();
}

// Leases are for trees that are changed through this server. When another process changes one on
// the disk itself, all leases of the export are revoked, and for a while clients ask as if there
// were no leases.
std::string Server::watch_disk(Export& share) {
  static constexpr std::chrono::milliseconds kQuiet{10'000};
  if (!share.options.leases) return "as it is told";
  if (share.store->remote() && !share.options.sole) return "as other machines change it";
  if (share.store->ignores_case()) return "as the case of names is ignored in it";
  // The changes that come through the other export would not be noticed here.
  if (overlaps_another(share)) return "as another export has the same files";
  if (!options_.watches_disk || share.options.sole) {
    share.leases->open();
    return {};
  }
  const UniqueFd root = open_root(share);
  auto watch = !root ? last_errno() : DiskWatch::start(root.get(), [this, &share] {
    share.leases->close_for(kQuiet);
    services_.sessions.revoke_leases(share);
  });
  if (!watch) {
    return "as changes on the disk itself cannot be noticed: " + errno_text(watch.error());
  }
  share.watch = std::move(watch.value());
  share.leases->open();
  return {};
}

bool Server::overlaps_another(const Export& share) const {
  const auto contains = [&](const Export& outer, const Export& inner) {
    auto tree = DiskTree::open(open_root(outer).get());
    // If this cannot be found out, the disk cannot be watched either, so an export that needs the
    // watch gets no leases anyway; one that does not (`sole`) is assumed to overlap.
    if (!tree) return share.options.sole;
    return tree.value().contains(open_root(inner).get());
  };
  return std::any_of(services_.exports.begin(), services_.exports.end(), [&](const auto& item) {
    const Export& other = item.second;
    return &other != &share && (contains(share, other) || contains(other, share));
  });
}

RefusalOr<void> Server::listen() {
  const tcp::endpoint& where = options_.listen;
  boost::system::error_code error;
  acceptor_ = std::make_unique<Acceptor>(workers_.front()->loop.executor());
  auto step = [&](auto&& call) {
    if (!error) call();
  };
  step([&] { acceptor_->open(where.protocol(), error); });
  step([&] { acceptor_->set_option(tcp::acceptor::reuse_address(true), error); });
  step([&] { acceptor_->bind(where, error); });
  step([&] { acceptor_->listen(asio::socket_base::max_listen_connections, error); });
  step([&] { endpoint_ = acceptor_->local_endpoint(error); });
  if (!error) return success();
  return Refusal{fmt::format("cannot listen on {}: {}; choose another address with --listen",
                             text_of(where), error.message())};
}

std::string Server::describe() const {
  std::string names;
  for (const auto& [name, share] : services_.exports) names += (names.empty() ? "" : ", ") + name;
  return fmt::format("listening on {}, exports: {}", text_of(endpoint_), names);
}

// --- While it runs ------------------------------------------------------------------------------

Task<void> Server::accept() {
  std::size_t next = 0;
  boost::system::error_code told;  // logs once when accepting begins to fail, not at each try
  while (!stopping_) {
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    auto socket = co_await acceptor_->async_accept(token);
    if (stopping_) break;
    if (error) {
      // Most likely out of descriptors; trying again at once would only burn the core.
      if (error != told) log_warn("cannot accept connections: {}", error.message());
      told = error;
      retry_timer_->expires_after(std::chrono::milliseconds(100));
      co_await retry_timer_->async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    if (told) log_info("accepts connections again");
    told.clear();
    Worker& worker = *workers_[next++ % workers_.size()];
    const int fd = socket.release(error);
    if (error) continue;
    asio::post(worker.loop.executor(), [&worker, fd, this] { adopt(worker, fd, services_); });
  }
}

void Server::adopt(Worker& worker, int fd, Services& services) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  Connection::Socket socket(worker.loop.executor());
  boost::system::error_code error;
  socket.assign(address.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), fd, error);
  if (error || worker.closing) {
    if (error) ::close(fd);
    return;
  }
  set_socket_options(socket);
  std::erase_if(worker.connections, [](const auto& weak) { return weak.expired(); });
  auto connection = std::make_shared<Connection>(std::move(socket), services);
  worker.connections.push_back(connection);
  spawn(worker.loop.executor(), "connection", Connection::serve(std::move(connection)));
}

// Ends sessions that stayed without a connection, and closes descriptors that nobody uses, here and
// at the clients.
Task<void> Server::run_housekeeping() {
  constexpr std::chrono::milliseconds kSeldom{1'000};
  constexpr std::chrono::milliseconds kIdle{30'000};
  constexpr std::chrono::milliseconds kOften{50};
  const auto interval =
      std::clamp(std::min(services_.grace, options_.recall_patience) / 2, kOften, kSeldom);
  auto idle_dropped = std::chrono::steady_clock::now();
  while (!stopping_) {
    housekeeping_timer_->expires_after(interval);
    boost::system::error_code ignored;
    co_await housekeeping_timer_->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (stopping_) break;
    const auto now = std::chrono::steady_clock::now();
    for (auto& session : services_.sessions.take_expired(now, services_.grace)) {
      log_info("session {} ended, its client did not come back: {}", session->number(),
               server::describe(session->counters()));
      Session::end_in_pool(std::move(session));
    }
    services_.sessions.revoke_overdue_leases(now, options_.recall_patience);
    services_.sessions.keep_room_for_opens();
    if (now - idle_dropped < kIdle) continue;
    idle_dropped = now;
    for (auto& [name, share] : services_.exports) {
      share.pool->post([&store = *share.store] { store.drop_idle(); });
    }
  }
}

// --- Stop ---------------------------------------------------------------------------------------

void Server::close_all(Worker& worker) {
  worker.closing = true;
  for (auto& weak : worker.connections) {
    if (auto connection = weak.lock()) connection->close();
  }
}

// Connections are closed on their loops, and their coroutines then end by themselves. stop() waits
// for what still executes in a pool: a write that has begun is completed, or fails with nobody to
// report to.
void Server::stop() {
  for (auto& [name, share] : services_.exports) share.watch.reset();
  if (!started_) return;
  started_ = false;
  asio::post(workers_.front()->loop.executor(), [this] {
    stopping_ = true;
    boost::system::error_code ignored;
    acceptor_->close(ignored);
    housekeeping_timer_->cancel();
    retry_timer_->cancel();
  });
  for (auto& worker : workers_) {
    asio::post(worker->loop.executor(), [&worker = *worker] { close_all(worker); });
    worker->loop.finish();
  }
  for (auto& worker : workers_) worker->loop.join();
  const auto sessions = services_.sessions.take_all();
  for (const auto& session : sessions) session->leases().end();  // unblocks calls that wait
  for (auto& [name, share] : services_.exports) share.pool->join();
  for (const auto& session : sessions) session->end();
}

}  // namespace foliofs::server
