#include "server/disk_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <climits>
#include <cstring>
#include <functional>
#include <string_view>

#include "server/fd_path.h"
#include "server/kernel_handle.h"

namespace foliofs::server {

namespace {

constexpr std::size_t kRemembered = 4096;

class Path {
 public:
  // The path of the file that `fd` refers to; not good() when it is too long or unknown.
  explicit Path(int fd) { length_ = ::readlink(FdPath(fd).c_str(), text_.data(), text_.size()); }

  bool good() const { return length_ > 0 && length_ < static_cast<ssize_t>(text_.size()); }
  // Empty unless good().
  std::string_view text() const {
    return {text_.data(), good() ? static_cast<std::size_t>(length_) : 0};
  }

 private:
  std::array<char, PATH_MAX> text_;
  ssize_t length_ = -1;
};

bool is_at_or_below(std::string_view path, std::string_view root) {
  if (!path.starts_with(root)) return false;
  return root == "/" || path.size() == root.size() || path[root.size()] == '/';
}

}  // namespace

Result<DiskTree> DiskTree::open(int root) {
  // open_by_handle_at() takes no O_PATH descriptor.
  DiskTree tree(UniqueFd(::openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!tree.root_) return last_errno();
  BOOST_OUTCOME_TRY(const KernelHandle handle, kernel_handle_of(tree.root()));
  const UniqueFd again = tree.reopen(handle.bytes(), O_DIRECTORY);
  if (!again) return last_errno();
  if (!Path(tree.root()).good()) return Errno(ENAMETOOLONG);
  return tree;
}

DiskTree::DiskTree(UniqueFd root) : root_(std::move(root)), outside_(kRemembered) {}

bool DiskTree::contains(int fd) {
  struct stat here {
  }, there{};
  if (::fstat(root(), &here) != 0 || ::fstat(fd, &there) != 0) return true;
  if (here.st_dev != there.st_dev) return false;
  const auto handle = kernel_handle_of(fd);
  return !handle || has_directory(handle.value().bytes());
}

bool DiskTree::has_directory(DiskHandle handle) {
  std::string& known = remembered(handle);
  if (known == handle) return false;
  // When a file was opened by its handle and the kernel knows no name of it, fanotify reports
  // something that is not a directory as the file's directory.
  const UniqueFd directory = reopen(handle, O_DIRECTORY);
  if (!directory) return errno != ESTALE;
  if (is_inside(directory.get())) return true;
  known = handle;
  return false;
}

bool DiskTree::has_file(DiskHandle handle) const {
  const UniqueFd file = reopen(handle, 0);
  if (!file) return errno != ESTALE;
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return true;
  // The kernel gives this path for a deleted file, and for one that it knows no name of at present.
  if (Path(file.get()).text() == "/") return info.st_nlink > 0;
  return is_inside(file.get());
}

void DiskTree::forget() {
  for (std::string& handle : outside_) handle.clear();
}

// Without a descriptor errno says why.
UniqueFd DiskTree::reopen(DiskHandle handle, int flags) const {
  KernelHandle kernel{};
  if (handle.size() > sizeof kernel.room) {
    errno = EINVAL;
    return {};
  }
  std::memcpy(kernel.room, handle.data(), handle.size());
  flags |= O_PATH | O_NOFOLLOW | O_CLOEXEC;
  return UniqueFd(open_by_kernel_handle(root_.get(), kernel, flags));
}

bool DiskTree::is_inside(int fd) const {
  // The comparison means nothing if the root was moved between the two readings.
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    const Path root(root_.get());
    const Path path(fd);
    const Path root_after(root_.get());
    if (!root.good() || !path.good() || !root_after.good()) return true;
    if (root.text() == root_after.text()) return is_at_or_below(path.text(), root.text());
  }
  return true;
}

std::string& DiskTree::remembered(DiskHandle handle) {
  return outside_[std::hash<DiskHandle>()(handle) % outside_.size()];
}

}  // namespace foliofs::server
