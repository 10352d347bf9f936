#include "open_files.h"

#include "foliofs/base/log.h"
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// How long unwritable bytes of a released file wait for the next attempt.
constexpr Duration kWriteLaterInterval = std::chrono::seconds(5);

// The last name is gone, and nobody here has the file open.
bool is_out_of_reach(const Inode& inode) {
  const bool nobody_has_it = inode.kept_open && inode.open_count == 1;
  return nobody_has_it && inode.attributes.nlink == 0;
}

}  // namespace

OpenedFile OpenFiles::add(const InodeRef& inode, std::shared_ptr<ServerOpen> open, int flags) {
  auto file = std::make_shared<OpenFile>();
  file->inode = inode;
  file->server_open = open;
  file->errors = inode->mapping->errors().sample();
  if (inode->told_of_failure) (void)inode->mapping->errors().check(file->errors);
  file->direct = (flags & O_DIRECT) != 0;
  inode->io->add(std::move(open));
  ++inode->open_count;
  inode->kernel.opened_at = ++core_.logical_time;
  core_.forgetting.used(*inode);
  // An appender's data goes where the server's file ends, which the kernel may not know. So the
  // kernel must not keep the data under an offset of its own.
  file->kernel_caches = core_.options.kernel_cache && (flags & O_APPEND) == 0;
  if (file->fills_pages()) ++inode->kernel.cached_opens;
  OpenedFile opened;
  opened.file = file;
  opened.direct = !file->kernel_caches;
  files_[file.get()] = std::move(file);
  return opened;
}

OpenFileRef OpenFiles::take(OpenFile* file) {
  auto found = files_.find(file);
  if (found == files_.end()) return nullptr;
  OpenFileRef taken = std::move(found->second);
  files_.erase(found);
  if (taken->fills_pages()) --taken->inode->kernel.cached_opens;
  return taken;
}

Task<void> OpenFiles::drop(OpenFileRef file) {
  InodeRef inode = file->inode;
  inode->io->remove(file->server_open);
  --inode->open_count;
  const bool kept = core_.idle_opens.keep(*inode, file->server_open);
  if (!kept) co_await core_.closing_opens.close(file->server_open);
  core_.drop_if_unused(inode);
}

std::vector<OpenFile*> OpenFiles::all() const {
  std::vector<OpenFile*> files;
  files.reserve(files_.size());
  for (const auto& [file, owned] : files_) files.push_back(file);
  return files;
}

void OpenFiles::write_later(InodeRef inode, std::shared_ptr<ServerOpen> open) {
  inode->kept_open = open;
  core_.spawn("write later", keep_writing(core_, std::move(inode), std::move(open)));
}

Task<void> OpenFiles::lost_name(InodeRef inode) {
  if (is_out_of_reach(*inode)) co_await stop_writing_later(inode);
}

Task<void> OpenFiles::stop_writing_later(InodeRef inode) {
  auto open = std::exchange(inode->kept_open, nullptr);
  if (!open) co_return;
  if (inode->dirty()) inode->mapping->abandon();
  inode->told_of_failure = false;
  inode->io->remove(open);
  --inode->open_count;
  co_await core_.closing_opens.close(open);
  core_.drop_if_unused(inode);
}

Task<void> OpenFiles::keep_writing(MountCore& core, InodeRef inode,
                                   std::shared_ptr<ServerOpen> open) {
  auto is_to_be_written = [&] {
    return inode->dirty() && !is_out_of_reach(*inode);
  };
  if (is_to_be_written()) {
    log_warn("{}: {} bytes could not be written; will go on trying", inode->name,
             inode->mapping->dirty_bytes());
  }
  while (!core.stopping && inode->kept_open == open && is_to_be_written()) {
    co_await core.clock.sleep(kWriteLaterInterval);
    cache::InvalidateRequest request;
    request.mode = cache::InvalidateMode::kLaunder;
    request.reason = cache::InvalidateReason::kRelease;
    cache::ErrCursor attempt = inode->mapping->errors().sample();
    auto report = co_await inode->mapping->flush(request);
    // The same failure again, which has already been reported.
    if (inode->told_of_failure) (void)inode->mapping->errors().check(attempt);
    if (report.error != Errno(ESTALE)) continue;
    auto found = co_await core.names.find_again(inode, to_wire(open->opener));
    if (found && !found.value()) {
      const std::uint64_t lost = inode->mapping->abandon();
      log_error("{}: the file is gone from the server, {} bytes lost", inode->name, lost);
    }
  }
  const bool still_kept = inode->kept_open == open;
  if (still_kept && !is_to_be_written()) co_await core.open_files.stop_writing_later(inode);
}

}  // namespace foliofs::vfs
