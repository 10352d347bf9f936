#include "foliofs/fuse/fuse_mount.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdarg>
#include <fstream>

#include "foliofs/base/limits.h"
#include "foliofs/base/log.h"
#include "fuse_context.h"
#include "handlers.h"
#include "kernel_release.h"
#include "kill_privileges.h"
#include "notifier.h"

namespace foliofs::fuse {

namespace {

// Limits the requests read in one turn of the loop, so that the network gets its turns too.
constexpr int kRequestsInOneTurn = 32;
constexpr int kReadaheadKiB = kMaxPayloadBytes >> 10;  // what one READ may carry

// libfuse reports failures only by printing them, each line in several fragments. We want the text
// in the Refusal instead.
thread_local std::string last_fuse_message;
thread_local bool fuse_message_is_whole = true;

void keep_fuse_message(fuse_log_level, const char* format, va_list arguments) {
  char fragment[512];
  std::vsnprintf(fragment, sizeof fragment, format, arguments);
  if (fuse_message_is_whole) last_fuse_message.clear();
  last_fuse_message += fragment;
  fuse_message_is_whole = last_fuse_message.ends_with('\n');
  while (last_fuse_message.ends_with('\n')) last_fuse_message.pop_back();
  if (fuse_message_is_whole) log_debug("libfuse: {}", last_fuse_message);
}

std::string join(const std::vector<std::string>& words) {
  std::string joined;
  for (const auto& word : words) joined += (joined.empty() ? "" : ",") + word;
  return joined;
}

ssize_t read_request(int fd, void* buffer, std::size_t size, void* userdata) {
  const ssize_t bytes = ::read(fd, buffer, size);
  auto& context = *static_cast<FuseContext*>(userdata);
  context.init_flags.saw_request(buffer, bytes);
  context.kills_privileges = kills_privileges(buffer, bytes);
  return bytes;
}

ssize_t write_reply(int fd, iovec* parts, int count, void* userdata) {
  static_cast<FuseContext*>(userdata)->init_flags.patch_reply(parts, count);
  return ::writev(fd, parts, count);
}

}  // namespace

class FuseMount::Impl {
 public:
  explicit Impl(boost::asio::io_context& io) : device_(io) {
    context_.executor = io.get_executor();
  }

  ~Impl() {
    if (session_ == nullptr) return;
    device_.release();  // the session closes it
    fuse_session_unmount(session_);
    notifier_.reset();
    fuse_session_destroy(session_);
    std::free(buffer_.mem);
  }

  RefusalOr<void> mount(const std::string& mount_point, const std::string& source,
                        const vfs::MountOptions& options) {
    fuse_set_log_func(keep_fuse_message);
    const fuse_lowlevel_ops handlers = make_handlers();
    std::vector<std::string> words = options.fuse_options;
    words.push_back("default_permissions");
    auto named = [&](std::string_view key) {
      return std::any_of(words.begin(), words.end(),
                         [&](const auto& w) { return w.starts_with(key); });
    };
    if (!named("subtype=")) words.push_back("subtype=foliofs");
    if (!named("fsname=")) words.push_back("fsname=" + source);
    if (options.allow_other) words.push_back("allow_other");
    if (options.read_only) words.push_back("ro");
    std::string joined = join(words);
    std::string name = "foliofs", dash_o = "-o";
    char* argv[] = {name.data(), dash_o.data(), joined.data(), nullptr};
    fuse_args arguments = FUSE_ARGS_INIT(3, argv);
    session_ = fuse_session_new(&arguments, &handlers, sizeof handlers, &context_);
    fuse_opt_free_args(&arguments);
    if (session_ == nullptr) return failure("cannot set up a FUSE session");
    if (fuse_session_mount(session_, mount_point.c_str()) != 0) {
      auto error = failure("cannot mount on " + mount_point);
      fuse_session_destroy(std::exchange(session_, nullptr));
      return error;
    }
    const int fd = fuse_session_fd(session_);
    fuse_custom_io io{};
    io.read = read_request;
    io.writev = write_reply;
    if (fuse_session_custom_io(session_, &io, fd) != 0) return failure("cannot watch the session");
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    device_.assign(fd);
    notifier_ = std::make_unique<Notifier>(session_, context_.executor);
    return success();
  }

  void serve(vfs::Mount& mount, std::function<void()> ended) {
    context_.mount = &mount;
    ended_ = std::move(ended);
  }

  // Reads and answers requests. True if there were any.
  bool look() {
    if (!ended_) return false;
    for (int i = 0; i < kRequestsInOneTurn; ++i) {
      const int bytes = fuse_session_receive_buf(session_, &buffer_);
      if (bytes == -EINTR) continue;
      if (bytes == -EAGAIN) return i > 0;
      if (bytes <= 0 || fuse_session_exited(session_)) {
        end(bytes);
        return true;
      }
      fuse_session_process_buf(session_, &buffer_);
      // The first request is INIT.
      if (!std::exchange(initialised_, true)) raise_kernel_readahead();
    }
    return true;
  }

  void watch() {
    if (!ended_ || std::exchange(watched_, true)) return;
    device_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                       [this](boost::system::error_code error) {
                         if (!error) watched_ = false;
                       });
  }

  void set_device(const std::string& device) {
    device_number_ = device;
    notifier_->set_device(device);
    if (initialised_) raise_kernel_readahead();
  }

  Task<void> invalidate_pages(std::uint64_t node, ByteRange range) {
    return notifier_->invalidate_pages(node, range);
  }
  Task<void> extend(std::uint64_t node, std::uint64_t size, std::byte last) {
    return notifier_->extend(node, size, last);
  }
  Task<void> expire_attributes(std::vector<vfs::KernelNode> nodes) {
    return notifier_->expire_attributes(std::move(nodes));
  }
  Task<void> expire_names(std::vector<vfs::KernelName> names) {
    return notifier_->expire_names(std::move(names), context_.expires_names);
  }
  bool keeps_expired_names() const { return context_.expires_names; }
  bool expires_absent_names() const { return expires_absent_names_; }
  Task<void> forget(std::vector<vfs::KernelFile> files) {
    return notifier_->forget(std::move(files));
  }

 private:
  static Refusal failure(const std::string& what) {
    return Refusal{last_fuse_message.empty() ? what : what + ": " + last_fuse_message};
  }

  // REQUIRES: INIT has been answered, because the reply to INIT sets the window too.
  void raise_kernel_readahead() {
    if (device_number_.empty()) return;
    const std::string path = "/sys/class/bdi/" + device_number_ + "/read_ahead_kb";
    int present = 0;
    if (std::ifstream(path) >> present && present >= kReadaheadKiB) return;
    std::ofstream(path) << kReadaheadKiB << std::flush;
  }

  void end(int why) {
    if (why < 0 && why != -ENODEV)
      log_error("reading from the kernel: {}", errno_text(Errno(-why)));
    if (auto ended = std::exchange(ended_, nullptr)) ended();
  }

  FuseContext context_;
  const bool expires_absent_names_ = kernel_expires_absent_names(running_kernel_release());
  fuse_session* session_ = nullptr;
  boost::asio::posix::stream_descriptor device_;
  fuse_buf buffer_{};
  bool watched_ = false;       // the context wakes the loop at the next request
  bool initialised_ = false;   // INIT has been answered
  std::string device_number_;  // "MAJOR:MINOR"; empty until it is known
  std::unique_ptr<Notifier> notifier_;
  std::function<void()> ended_;
};

FuseMount::FuseMount(boost::asio::io_context& context) : impl_(std::make_unique<Impl>(context)) {}
FuseMount::~FuseMount() = default;

RefusalOr<void> FuseMount::mount(const std::string& mount_point, const std::string& source,
                                 const vfs::MountOptions& options) {
  return impl_->mount(mount_point, source, options);
}

void FuseMount::serve(vfs::Mount& mount, std::function<void()> ended) {
  impl_->serve(mount, std::move(ended));
}

bool FuseMount::look() {
  return impl_->look();
}

void FuseMount::watch() {
  impl_->watch();
}

void FuseMount::set_device(const std::string& device) {
  impl_->set_device(device);
}

Task<void> FuseMount::invalidate_pages(std::uint64_t node_id, ByteRange range) {
  return impl_->invalidate_pages(node_id, range);
}

Task<void> FuseMount::extend(std::uint64_t node_id, std::uint64_t size, std::byte last) {
  return impl_->extend(node_id, size, last);
}

Task<void> FuseMount::expire_attributes(std::vector<vfs::KernelNode> nodes) {
  return impl_->expire_attributes(std::move(nodes));
}

Task<void> FuseMount::expire_names(std::vector<vfs::KernelName> names) {
  return impl_->expire_names(std::move(names));
}

bool FuseMount::keeps_expired_names() const {
  return impl_->keeps_expired_names();
}

bool FuseMount::expires_absent_names() const {
  return impl_->expires_absent_names();
}

Task<void> FuseMount::forget(std::vector<vfs::KernelFile> files) {
  return impl_->forget(std::move(files));
}

}  // namespace foliofs::fuse
