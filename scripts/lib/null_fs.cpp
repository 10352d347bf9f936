// A filesystem that does nothing: two files, `data` and `small`, of the size given on the command
// line. Reads return zeros from memory; writes are acknowledged and dropped. One thread, which
// polls /dev/fuse before it sleeps. It shows the most that a daemon can reach through /dev/fuse;
// scripts/bench measures it as a limit.
//
// usage: null_fs MOUNT_POINT FILE_MIB POLL_US
#define FUSE_USE_VERSION 314
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr double kBelievedSeconds = 3600;
constexpr fuse_ino_t kFirstFile = FUSE_ROOT_ID + 1;
const std::vector<std::string> names = {"data", "small"};
std::size_t file_bytes = 0;
const std::vector<char> zeros(1 << 20);

struct stat attributes(fuse_ino_t node) {
  struct stat found {};
  found.st_ino = node;
  found.st_mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
  found.st_nlink = 1;
  found.st_size = node == FUSE_ROOT_ID ? 0 : static_cast<off_t>(file_bytes);
  return found;
}

// The entry for `name`; its inode number is 0 if there is no such file.
fuse_entry_param entry_of(const char* name) {
  fuse_entry_param entry{};
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return entry;
  entry.ino = kFirstFile + static_cast<fuse_ino_t>(found - names.begin());
  entry.attr = attributes(entry.ino);
  entry.attr_timeout = entry.entry_timeout = kBelievedSeconds;
  return entry;
}

void lookup(fuse_req_t request, fuse_ino_t, const char* name) {
  const fuse_entry_param entry = entry_of(name);
  if (entry.ino == 0) {
    fuse_reply_err(request, ENOENT);
  } else {
    fuse_reply_entry(request, &entry);
  }
}

void getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
  const struct stat found = attributes(node);
  fuse_reply_attr(request, &found, kBelievedSeconds);
}

void setattr(fuse_req_t request, fuse_ino_t node, struct stat*, int, fuse_file_info* info) {
  getattr(request, node, info);
}

void open(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  fuse_reply_open(request, info);
}

void read(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info*) {
  const std::size_t left = file_bytes - std::min(file_bytes, static_cast<std::size_t>(offset));
  fuse_reply_buf(request, zeros.data(), std::min({size, left, zeros.size()}));
}

void write(fuse_req_t request, fuse_ino_t, const char*, std::size_t size, off_t, fuse_file_info*) {
  fuse_reply_write(request, size);
}

void done(fuse_req_t request, fuse_ino_t, fuse_file_info*) {
  fuse_reply_err(request, 0);
}

void fsync(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
  fuse_reply_err(request, 0);
}

fuse_lowlevel_ops handlers() {
  fuse_lowlevel_ops
      handlers{};  // the rest gets ENOSYS, so the kernel asks once; also for getxattr on write
  handlers.lookup = lookup;
  handlers.getattr = getattr;
  handlers.setattr = setattr;
  handlers.open = open;
  handlers.read = read;
  handlers.write = write;
  handlers.flush = done;
  handlers.release = done;
  handlers.fsync = fsync;
  return handlers;
}

// Sets the same readahead window as foliofs; this works only for root.
void raise_readahead(const char* mount_point) {
  struct stat found {};
  if (::stat(mount_point, &found) != 0) return;
  std::ofstream("/sys/class/bdi/" + std::to_string(major(found.st_dev)) + ":" +
                std::to_string(minor(found.st_dev)) + "/read_ahead_kb")
      << 1024;
}

void serve(fuse_session* session, std::chrono::microseconds poll_for) {
  using Clock = std::chrono::steady_clock;
  const int device = fuse_session_fd(session);
  ::fcntl(device, F_SETFL, ::fcntl(device, F_GETFL) | O_NONBLOCK);
  fuse_buf buffer{};
  auto last = Clock::now();
  while (fuse_session_exited(session) == 0) {
    const int bytes = fuse_session_receive_buf(session, &buffer);
    if (bytes > 0) {
      fuse_session_process_buf(session, &buffer);
      last = Clock::now();
    } else if (bytes == -EAGAIN) {
      pollfd ready{device, POLLIN, 0};
      if (Clock::now() - last < poll_for) {
        ::sched_yield();
      } else {
        ::poll(&ready, 1, -1);
      }
    } else if (bytes != -EINTR) {
      break;
    }
  }
  std::free(buffer.mem);
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) return 2;
  file_bytes = std::strtoull(words[2], nullptr, 10) << 20;
  char name[] = "null_fs", dash_o[] = "-o", options[] = "fsname=null_fs";
  char* arguments[] = {name, dash_o, options, nullptr};
  fuse_args parsed = FUSE_ARGS_INIT(3, arguments);
  const fuse_lowlevel_ops operations = handlers();
  fuse_session* session = fuse_session_new(&parsed, &operations, sizeof operations, nullptr);
  fuse_opt_free_args(&parsed);
  if (session == nullptr || fuse_set_signal_handlers(session) != 0) return 1;
  if (fuse_session_mount(session, words[1]) != 0) return 1;
  std::thread([point = words[1]] { raise_readahead(point); }).detach();
  serve(session, std::chrono::microseconds(std::strtoul(words[3], nullptr, 10)));
  fuse_session_unmount(session);
  fuse_remove_signal_handlers(session);
  fuse_session_destroy(session);
  return 0;
}
