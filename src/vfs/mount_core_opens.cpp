// The opens of a file: here, and at the server, from the first to the last; and files that could
// not be written at their release.
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// How long unwritable bytes of a released file wait for the next attempt.
constexpr Duration kWriteLaterInterval = std::chrono::seconds(5);

}  // namespace

void MountCore::prepare_mapping(const InodeRef& inode) {
  if (inode->mapping) return;
  inode->io = std::make_shared<InodeIo>(*this, inode);
  inode->mapping = cache.make_mapping(inode->io, inode->io, inode->attributes.size);
  inodes.recount(*inode);
}

OpenedFile MountCore::add_open_file(const InodeRef& inode, std::shared_ptr<ServerOpen> open,
                                    int flags) {
  auto file = std::make_shared<OpenFile>();
  file->inode = inode;
  file->server_open = open;
  file->errors = inode->mapping->errors().sample();
  if (inode->told_of_failure) (void)inode->mapping->errors().check(file->errors);
  file->direct = (flags & O_DIRECT) != 0;
  inode->io->add(std::move(open));
  ++inode->open_count;
  inode->kernel.opened_at = ++logical_time;
  forgetting.used(*inode);
  // An appender's data goes where the server's file ends, which the kernel may not know; so it must
  // not keep the data under an offset of its own.
  file->kernel_caches = options.kernel_cache && (flags & O_APPEND) == 0;
  if (file->fills_pages()) ++inode->kernel.cached_opens;
  OpenedFile opened;
  opened.file = file;
  opened.direct = !file->kernel_caches;
  open_files[file.get()] = std::move(file);
  return opened;
}

OpenFileRef MountCore::take_open_file(OpenFile* file) {
  auto found = open_files.find(file);
  if (found == open_files.end()) return nullptr;
  OpenFileRef taken = std::move(found->second);
  open_files.erase(found);
  if (taken->fills_pages()) --taken->inode->kernel.cached_opens;
  return taken;
}

Task<void> MountCore::drop_open_file(OpenFileRef file) {
  InodeRef inode = file->inode;
  inode->io->remove(file->server_open);
  --inode->open_count;
  const bool kept = idle_opens.keep(*inode, file->server_open);
  if (!kept) co_await close_server_open(file->server_open);
  drop_if_unused(inode);
}

Task<void> MountCore::close_server_open(std::shared_ptr<ServerOpen> open) {
  const std::weak_ptr<MountCore*> alive = self;
  const Status closed = co_await try_to_close(open);
  const bool unanswered = !closed && closed.error() == Errno(ETIMEDOUT);
  if (unanswered && !alive.expired()) idle_opens.close_later(std::move(open));
}

Task<Status> MountCore::try_to_close(std::shared_ptr<ServerOpen> open) {
  while (open->requests != 0) co_await open->requests_ended.wait();
  if (open->incarnation != session.incarnation()) co_return success();
  wire::CloseRequestT request;
  request.open_id = open->id;
  auto reply =
      co_await session.call<wire::CloseRequest>(request, open->incarnation, rpc::Urgency::kSoon);
  if (reply) co_return success();
  spdlog::debug("close: {}", errno_name(reply.error()));
  co_return reply.error();
}

void MountCore::close_unclaimed(proto::MessageType type, const rpc::RawReply& reply) {
  auto open = std::make_shared<ServerOpen>();
  if (type == proto::MessageType::kOpen) {
    const auto* opened = proto::view<wire::OpenReply>(reply.meta);
    if (opened != nullptr) open->id = opened->open_id();
  } else if (type == proto::MessageType::kCreate) {
    const auto* created = proto::view<wire::CreateReply>(reply.meta);
    if (created != nullptr) open->id = created->open_id();
  }
  if (open->id == 0) return;
  open->incarnation = reply.incarnation;
  idle_opens.close_later(std::move(open));
}

bool MountCore::is_out_of_reach(const Inode& inode) {
  const bool nobody_has_it = inode.kept_open && inode.open_count == 1;
  return nobody_has_it && inode.attributes.nlink == 0;
}

Task<void> MountCore::stop_writing_later(InodeRef inode) {
  auto open = std::exchange(inode->kept_open, nullptr);
  if (!open) co_return;
  if (inode->dirty()) inode->mapping->abandon();
  inode->told_of_failure = false;
  inode->io->remove(open);
  --inode->open_count;
  co_await close_server_open(open);
  drop_if_unused(inode);
}

Task<void> MountCore::write_later(MountCore& core, InodeRef inode,
                                  std::shared_ptr<ServerOpen> open) {
  inode->kept_open = open;
  auto is_to_be_written = [&] {
    return inode->dirty() && !is_out_of_reach(*inode);
  };
  if (is_to_be_written()) {
    spdlog::warn("{}: {} bytes could not be written; will go on trying", inode->name,
                 inode->mapping->dirty_bytes());
  }
  while (!core.stopping && inode->kept_open == open && is_to_be_written()) {
    co_await core.clock.sleep(kWriteLaterInterval);
    cache::InvalidateRequest request;
    request.mode = cache::InvalidateMode::kLaunder;
    request.reason = cache::InvalidateReason::kRelease;
    cache::ErrCursor attempt = inode->mapping->errors().sample();
    auto report = co_await inode->mapping->flush(request);
    // The same failure again, of which somebody has been told.
    if (inode->told_of_failure) (void)inode->mapping->errors().check(attempt);
    if (report.error != Errno(ESTALE)) continue;
    auto found = co_await core.find_again(inode, to_wire(open->opener));
    if (found && !found.value()) {
      const std::uint64_t lost = inode->mapping->abandon();
      spdlog::error("{}: the file is gone from the server, {} bytes lost", inode->name, lost);
    }
  }
  if (inode->kept_open == open && !is_to_be_written()) co_await core.stop_writing_later(inode);
}

}  // namespace foliofs::vfs
