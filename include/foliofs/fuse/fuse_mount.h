// FuseMount: a FUSE mount point. A vfs::Mount answers the requests that the kernel sends for it.
//
//   new --mount()--> mounted --serve()--> serving --(the kernel lets go)--> ended
//
// It is a thin adapter: it translates requests and replies, and tells the kernel how long it may
// cache them. Everything runs on the loop of `context`, except the notifier's threads.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "foliofs/base/polling_loop.h"
#include "foliofs/base/refusal.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::fuse {

// The loop must poll it as a PollSource, because look() reads the kernel's requests.
class FuseMount final : public vfs::Kernel, public PollSource {
 public:
  explicit FuseMount(boost::asio::io_context& context);
  // Unmounts lazily if the kernel has not let go of the mount yet.
  ~FuseMount() override;
  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;

  // Mounts on the directory `mount_point`; /proc/mounts shows `source`. Nothing answers requests
  // before serve(), so this process must not touch the mount point until then. After a refusal
  // nothing is mounted, at the latest once this object is destroyed.
  RefusalOr<void> mount(const std::string& mount_point, const std::string& source,
                        const vfs::MountOptions& options);

  // Begins to answer requests with `mount`. Calls `ended` once, on the loop, when the kernel has
  // let go of the mount: it was unmounted or its connection aborted. `mount` must live until then.
  void serve(vfs::Mount& mount, std::function<void()> ended);

  // Says which device the mount is, "MAJOR:MINOR" as in /proc/self/mountinfo. With it the kernel's
  // read-ahead window is raised to what one READ may carry, if this process is permitted to, and
  // the notifier can find out whether something is mounted below the mount point (Notifier).
  void set_device(const std::string& device);

  // PollSource
  bool look() override;
  void watch() override;

  // vfs::Kernel
  Task<void> invalidate_pages(std::uint64_t node_id, ByteRange range) override;
  Task<void> extend(std::uint64_t node_id, std::uint64_t size, std::byte last) override;
  Task<void> expire_attributes(std::vector<vfs::KernelNode> nodes) override;
  Task<void> expire_names(std::vector<vfs::KernelName> names) override;
  bool keeps_expired_names() const override;
  bool expires_absent_names() const override;
  Task<void> forget(std::vector<vfs::KernelFile> files) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace foliofs::fuse
