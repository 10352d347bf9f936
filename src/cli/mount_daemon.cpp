#include "mount_daemon.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <memory>
#include <optional>
#include <thread>

#include "daemon_log.h"
#include "foliofs/base/log.h"
#include "foliofs/base/mount_table.h"
#include "foliofs/base/polling_loop.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/control/drain_report.h"
#include "foliofs/control/mount_commands.h"
#include "foliofs/control/runtime_dir.h"
#include "foliofs/control/server.h"
#include "foliofs/fuse/fuse_mount.h"
#include "foliofs/rpc/session.h"
#include "kernel_unmount.h"

namespace foliofs::cli {
namespace {

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

rpc::SessionOptions session_options(const vfs::MountOptions& options) {
  rpc::SessionOptions session;
  session.export_name = options.export_name;
  session.client_name = host_name() + ":" + std::to_string(::getpid());
  session.read_only = options.read_only;
  session.wants_leases = options.coherence == vfs::Coherence::kLease;
  session.timeout_us = options.timeo_us;
  session.hard = options.hard;
  return session;
}

class Daemon final : public PollSource {
 public:
  Daemon(const MountRequest& request, DaemonLog& log, StartupObserver& observer)
      : request_(request),
        log_(log),
        observer_(observer),
        connector_(rpc::make_tcp_connector(request.options.host, request.options.port)),
        session_(executor(), clock_, *connector_, session_options(request.options)),
        poll_us_(request.options.poll_us),
        signals_(context_, SIGINT, SIGTERM, SIGHUP) {}

  int run() {
    spawn(executor(), "mount", live());
    do {
      context_.restart();
      run_polling(context_, poll_us_, this);
    } while (!ended_);
    if (status_ == 0 || !was_mounted_) log_.discard();
    // The kernel or an unmount may still wait for answers that the loop will not give.
    if (abandoned_ || evicting_) {
      // When the process ends, the calls of the mount's users fail. But a thread of ours that is
      // stuck in the kernel behind one of those calls keeps the process from ending, so abort the
      // connection (docs/ARCHITECTURE.md, "The notifier").
      if (!kernel_gone_ && connection_) abort_connection(*connection_);
      ::_exit(status_);
    }
    for (std::thread& thread : unmounters_) thread.join();
    return status_;
  }

  // PollSource
  bool look() override { return kernel_ && kernel_->look(); }
  void watch() override {
    if (kernel_) kernel_->watch();
  }

 private:
  Executor executor() { return context_.get_executor(); }

  Task<void> live() {
    wait_for_signal();
    was_mounted_ = co_await start();
    if (was_mounted_) co_await end();
    co_await session_.close();
    stop();
  }

  void stop() {
    ended_ = true;
    context_.stop();
  }

  // False if the share could not be mounted. Otherwise returns true when the mount is to end.
  Task<bool> start() {
    auto connected = co_await session_.start();
    if (!connected) {
      refuse(why_not_connected(connected.error()));
      co_return false;
    }
    // Mount a read-only export read-only, as a write-protected medium is. If only the server
    // refused writes, access(2) would still promise them.
    vfs::MountOptions options = request_.options;
    options.cache.max_io = std::min(options.cache.max_io, session_.hello().max_payload);
    options.read_only = options.read_only || session_.hello().read_only;
    kernel_ = std::make_unique<fuse::FuseMount>(context_);
    auto mounted = kernel_->mount(request_.mount_point, request_.source, options);
    if (!mounted) {
      refuse(mounted.error().text);
      kernel_.reset();
      co_return false;
    }
    mount_ = std::make_unique<vfs::Mount>(executor(), clock_, session_, *kernel_, options);
    kernel_->serve(*mount_, [this] {
      kernel_gone_ = true;
      changed_.wake_all();
    });
    const std::string problem = open_control();
    if (!problem.empty() || !observer_.ready()) {
      if (!problem.empty()) refuse(problem);
      unmount_in_background(Unmount::kLazy);
    } else {
      log_.show();
      log_info("{} mounted on {}", request_.source, request_.mount_point);
    }
    while (!kernel_gone_ && !evicting_ && !abandoned_) co_await changed_.wait();
    co_return true;
  }

  // REQUIRES: the kernel has let go of the mount, or the programs that use it are to be evicted, or
  // the user has given up the dirty data.
  Task<void> end() {
    if (control_) control_->withdraw();
    if (!abandoned_) spawn(executor(), "drain", drain());
    while (!drained_ && !abandoned_) co_await changed_.wait();
    // Closing the session ends every wait for the server, including a drain for the control socket.
    if (abandoned_) co_await session_.close();
    const std::uint64_t lost = mount_->stats().cache.dirty_bytes;
    if (lost != 0) {
      log_error("{} bytes could not be written and are lost", lost);
      status_ = 1;
    }
    if (control_) {
      announce("end", control::make_drain_report(drained_.value_or(Errno(ECANCELED)), lost));
      co_await control_->stop();
    }
    signals_.cancel();
  }

  Task<void> drain() {
    auto progress = control::drain_progress(
        [this](const nlohmann::json& state) { announce("progress", state); });
    Status drained = co_await mount_->drain(std::move(progress));
    // The drain has had its time. With the session closed, shut_down() does not wait for the same
    // data again.
    if (!drained) co_await session_.close();
    // While the kernel still sends requests, open files must stay; the end of the process closes
    // them.
    if (kernel_gone_) {
      const Status ended = co_await mount_->shut_down();
      if (drained) drained = ended;
    }
    drained_ = drained;
    changed_.wake_all();
  }

  void announce(const char* what, nlohmann::json state) {
    if (!control_) return;
    nlohmann::json message = nlohmann::json::object();
    message[what] = std::move(state);
    control_->announce(message);
  }

  // Returns what went wrong; empty if nothing did.
  std::string open_control() {
    auto table = read_mount_table();
    const MountEntry* entry =
        table ? find_mount_point(table.value(), request_.mount_point) : nullptr;
    if (entry == nullptr) return "the mount is not in /proc/self/mountinfo; is /proc mounted?";
    kernel_->set_device(entry->device);
    connection_ = entry->minor;
    auto directory = control::make_runtime_dir();
    if (!directory) return directory.error().text;
    control::MountCommands::Hooks hooks;
    hooks.abandon = [this] {
      abandoned_ = true;
      changed_.wake_all();
    };
    hooks.options_changed = [this](const vfs::MountOptions& now) {
      apply(now);
    };
    commands_ = std::make_unique<control::MountCommands>(*mount_, session_, std::move(hooks));
    control_ = std::make_unique<control::ControlServer>(executor(), *commands_);
    auto listening = control_->listen(control::socket_path(directory.value(), entry->device));
    if (!listening) return "cannot make the control socket: " + errno_text(listening.error());
    return "";
  }

  // Applies those options of a live mount that belong to the process.
  void apply(const vfs::MountOptions& options) {
    log_.set_level(options.log_level);
    if (options.poll_us == poll_us_) return;
    poll_us_ = options.poll_us;
    context_.stop();  // run() goes on with the new value
  }

  void wait_for_signal() {
    signals_.async_wait([this](boost::system::error_code error, int) {
      if (error) return;
      if (!mount_) {
        refuse("interrupted before the share was mounted");
        stop();
        return;
      }
      if (kernel_gone_ || evicting_) {
        abandoned_ = true;
      } else if (signalled_) {
        evicting_ = true;
      } else {
        signalled_ = true;
        unmount_in_background(Unmount::kIfIdle);
      }
      changed_.wake_all();
      wait_for_signal();
    });
  }

  // On a thread, because the kernel may need answers from the loop while it unmounts.
  void unmount_in_background(Unmount how) {
    unmounters_.emplace_back([this, how] {
      const UnmountResult result = unmount(request_.mount_point, how);
      if (!result.done && result.busy) unmount(request_.mount_point, Unmount::kLazy);
    });
  }

  std::string why_not_connected(Errno error) const {
    const vfs::MountOptions& options = request_.options;
    const std::string server = vfs::server_address(options);
    const std::string& said = session_.start_error_text();
    if (error == Errno(ENOENT)) {
      return server + ": " + (said.empty() ? "no such export" : said) +
             "; mount one that its foliofsd was started with";
    }
    if (error == Errno(EPROTONOSUPPORT)) {
      return server + ": " + (said.empty() ? "another protocol version" : said) +
             "; install the same foliofs on both sides";
    }
    if (!said.empty()) return server + ": " + said;
    if (error == Errno(EPROTO)) return server + " does not speak foliofs; is the port right?";
    if (error == Errno(ENXIO)) return "the host " + options.host + " is not known; check its name";
    return "cannot reach " + server + ": " + errno_text(error) + "; is foliofsd running there?";
  }

  void refuse(const std::string& why) {
    status_ = 1;
    observer_.failed(why);
  }

  const MountRequest& request_;
  DaemonLog& log_;
  StartupObserver& observer_;
  boost::asio::io_context context_{1};
  SystemClock clock_;
  std::unique_ptr<rpc::Connector> connector_;
  rpc::Session session_;
  std::chrono::microseconds poll_us_;
  boost::asio::signal_set signals_;
  // In the order in which start() makes them.
  std::unique_ptr<fuse::FuseMount> kernel_;
  std::unique_ptr<vfs::Mount> mount_;
  std::unique_ptr<control::MountCommands> commands_;
  std::unique_ptr<control::ControlServer> control_;
  std::vector<std::thread> unmounters_;
  WaitQueue changed_;
  bool kernel_gone_ = false;
  bool abandoned_ = false;  // nothing may wait for the server
  bool evicting_ = false;   // drain, and then end although the kernel has not let go
  bool signalled_ = false;
  bool was_mounted_ = false;
  bool ended_ = false;                  // the loop is not to run again
  std::optional<unsigned> connection_;  // the kernel's number for the mount
  std::optional<Status> drained_;
  int status_ = 0;
};

}  // namespace

int run_mount_daemon(const MountRequest& request, StartupObserver& observer) {
  auto log = DaemonLog::open(request);
  if (!log) {
    observer.failed(log.error().text);
    return 1;
  }
  // A write to a socket, or to a pipe as stderr, whose other end has gone must not end the mount;
  // it fails with EPIPE instead.
  std::signal(SIGPIPE, SIG_IGN);
  return Daemon(request, log.value(), observer).run();
}

}  // namespace foliofs::cli
