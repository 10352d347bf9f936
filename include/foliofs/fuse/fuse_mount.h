// FuseMount: a mount point of the kernel's, whose requests are answered by a vfs::Mount.
//
//   new --mount()--> mounted --serve()--> serving --(the kernel lets go)--> ended
//
// It is a thin adapter: it translates, answers, and knows how long the kernel may remember. All of
// it runs on the loop of `context`, except the notifier's threads.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "foliofs/base/polling_loop.h"
#include "foliofs/base/refusal.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::fuse {

// The loop has to look at it as a PollSource: that is how requests are read.
class FuseMount final : public vfs::Kernel, public PollSource {
 public:
  explicit FuseMount(boost::asio::io_context& context);
  // Unmounts, lazily, if the kernel has not let go yet.
  ~FuseMount() override;
  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;

  // Mounts on the directory `mount_point`; `source` is what /proc/mounts shows. Nothing is answered
  // before serve(), so nobody of this process may touch the mount point in between.
  // When it is refused nothing is mounted.
  RefusalOr<void> mount(const std::string& mount_point, const std::string& source,
                        const vfs::MountOptions& options);

  // Begins to answer. `ended` is called on the loop, once, when the kernel has let go: unmounted,
  // or aborted. `mount` must live until then.
  void serve(vfs::Mount& mount, std::function<void()> ended);

  // Tells which device the mount is, "MAJOR:MINOR" as in /proc/self/mountinfo. Then the kernel's
  // read-ahead window is raised to what one READ may carry, where that is permitted, and what is
  // mounted below is noticed (Notifier).
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
