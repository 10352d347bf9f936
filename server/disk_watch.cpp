#include "server/disk_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>

#include <array>
#include <csignal>
#include <system_error>

namespace foliofs::server {

namespace {

using namespace std::chrono_literals;

constexpr auto kQuiet = 100ms;

// A busy server causes thousands of events a second itself; this pause lets many be read at a time.
constexpr auto kRest = 4ms;
constexpr std::size_t kBufferBytes = 64UL * 1024;

// Asks for the file of an event and not only its directory, because a file may also have a name
// outside the tree.
constexpr unsigned kGroup =
    FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_REPORT_FID | FAN_CLOEXEC | FAN_NONBLOCK;

// FAN_CLOSE_WRITE is for stores through mappings, which cause no FAN_MODIFY.
constexpr std::uint64_t kChanges = FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB | FAN_CREATE |
                                   FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_ONDIR;

// Stands for events that were lost.
constexpr DiskEvent kEventsLost{FAN_Q_OVERFLOW, 0, {}, {}};

bool moves_directory(const DiskEvent& event) {
  return (event.mask & FAN_ONDIR) != 0 && (event.mask & (FAN_MOVED_FROM | FAN_MOVED_TO)) != 0;
}

}  // namespace

Result<std::unique_ptr<DiskWatch>> DiskWatch::start(int root, std::function<void()> changed) {
  BOOST_OUTCOME_TRY(auto tree, DiskTree::open(root));
  UniqueFd events(::fanotify_init(kGroup, O_RDONLY | O_CLOEXEC));
  if (!events) return last_errno();
  if (::fanotify_mark(events.get(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, kChanges, tree.root(),
                      nullptr) != 0) {
    return last_errno();
  }
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  if (!stop) return last_errno();
  std::unique_ptr<DiskWatch> watch(
      new DiskWatch(std::move(tree), std::move(events), std::move(stop), std::move(changed)));
  try {
    watch->thread_ = std::thread([self = watch.get()] { self->run(); });
  } catch (const std::system_error&) {
    return Errno(EAGAIN);
  }
  return watch;
}

DiskWatch::DiskWatch(DiskTree tree, UniqueFd events, UniqueFd stop, std::function<void()> changed)
    : tree_(std::move(tree)),
      events_(std::move(events)),
      stop_(std::move(stop)),
      changed_(std::move(changed)),
      self_(::getpid()),
      buffer_(kBufferBytes) {}

DiskWatch::~DiskWatch() {
  if (!thread_.joinable()) return;
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void DiskWatch::run() {
  // The loops handle signals.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);

  while (wait()) {
    while (take_events()) {
      report_when_due();
      if (is_asked_to_stop(0ms)) return;
    }
    report_when_due();
    if (is_asked_to_stop(kRest)) return;
  }
}

// Waits until there are events, or a change may be reported. False when the thread is to end.
bool DiskWatch::wait() {
  int timeout_ms = -1;
  if (unreported_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(quiet_until_ - Clock::now());
    timeout_ms = std::max(0, static_cast<int>(left.count()));
  }
  std::array<pollfd, 2> fds{{{stop_.get(), POLLIN, 0}, {events_.get(), POLLIN, 0}}};
  ::poll(fds.data(), fds.size(), timeout_ms);
  return fds[0].revents == 0;
}

bool DiskWatch::is_asked_to_stop(std::chrono::milliseconds within) const {
  pollfd stop{stop_.get(), POLLIN, 0};
  return ::poll(&stop, 1, static_cast<int>(within.count())) > 0;
}

// Reads as many events as the buffer holds. False when there were none.
bool DiskWatch::take_events() {
  const ssize_t length = ::read(events_.get(), buffer_.data(), buffer_.size());
  if (length <= 0) {
    // After any other error an event has been lost.
    if (length < 0 && errno != EAGAIN && errno != EINTR) look_at(kEventsLost);
    return false;
  }
  std::span<const char> unread(buffer_.data(), static_cast<std::size_t>(length));
  while (!unread.empty()) {
    const auto event = take_disk_event(unread);
    look_at(event.value_or(kEventsLost));
    if (!event) break;
  }
  return true;
}

void DiskWatch::look_at(const DiskEvent& event) {
  // Also when the server itself moved it; and there may be such a move among lost events.
  if (moves_directory(event) || (event.mask & FAN_Q_OVERFLOW) != 0) tree_.forget();
  // One unreported change is enough.
  if (!unreported_) unreported_ = is_change(event);
}

bool DiskWatch::is_change(const DiskEvent& event) {
  if (event.process == self_) return false;
  if (event.directory.empty() && event.file.empty()) return true;
  if (!event.directory.empty() && tree_.has_directory(event.directory)) return true;
  return !event.file.empty() && tree_.has_file(event.file);
}

void DiskWatch::report_when_due() {
  if (!unreported_ || Clock::now() < quiet_until_) return;
  unreported_ = false;
  changed_();
  quiet_until_ = Clock::now() + kQuiet;
}

}  // namespace foliofs::server
